/** Small pictures for buttons; the buttons themselves have names. */
const PATHS = {
  search: 'M7 2a5 5 0 1 0 3.2 8.9l3 3 1-1-3-3A5 5 0 0 0 7 2Zm0 1.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7Z',
  copy: 'M5 2h8v9h-2v3H3V5h2V2Zm1.3 1.3V5H11v4.7h.7V3.3H6.3Zm-2 3v6.4h5.4V6.3H4.3Z',
  paste: 'M6 1.5h4V3h3v11.5H3V3h3V1.5Zm-1.7 2.8v8.9h7.4V4.3H10v1H6v-1H4.3Z',
  larger: 'M5.5 3h1.6l3.4 10H8.9l-.8-2.4H4.4L3.6 13H2L5.5 3Zm.8 1.9L4.8 9.3h2.9L6.3 4.9ZM12 3h1.2v1.8H15V6h-1.8v1.8H12V6h-1.8V4.8H12V3Z',
  smaller: 'M5.5 3h1.6l3.4 10H8.9l-.8-2.4H4.4L3.6 13H2L5.5 3Zm.8 1.9L4.8 9.3h2.9L6.3 4.9ZM10.2 4.8H15V6h-4.8V4.8Z',
  close: 'm3.7 2.6 4.3 4.3 4.3-4.3 1.1 1.1L9.1 8l4.3 4.3-1.1 1.1L8 9.1l-4.3 4.3-1.1-1.1L6.9 8 2.6 3.7l1.1-1.1Z',
  up: 'm8 4 5 5.5-1.1 1L8 6.2l-3.9 4.3-1.1-1L8 4Z',
  down: 'm8 12-5-5.5 1.1-1L8 9.8l3.9-4.3 1.1 1L8 12Z',
  camera: 'M6 3h4l1 1.5h3V13H2V4.5h3L6 3Zm2 3a2.7 2.7 0 1 0 0 5.4A2.7 2.7 0 0 0 8 6Zm0 1.3a1.4 1.4 0 1 1 0 2.8 1.4 1.4 0 0 1 0-2.8Z',
  mouse: 'm3 2 9.5 5.2-4 1 2.4 4.3-1.6.9-2.4-4.3L4 12 3 2Z',
  expand: 'M2 2h5v1.4H4.4L7 6 6 7 3.4 4.4V7H2V2Zm7 12v-1.4h2.6L9 10l1-1 2.6 2.6V9H14v5H9Z',
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return <svg className="icon" viewBox="0 0 16 16" aria-hidden="true"><path d={PATHS[name]} /></svg>;
}
