/** Texts of the configurations in public/demos by name, in gallery order (scripts/vite-demos.ts). */
declare module 'virtual:demos' {
  const texts: Readonly<Record<string, string>>;
  export default texts;
}
