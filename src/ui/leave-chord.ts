/** The keys that lead out of a console or an editor, which both keep Tab for themselves: Ctrl+Shift+. on any keyboard layout. */
export function isLeaveChord(event: KeyboardEvent): boolean {
  return event.ctrlKey && event.shiftKey && !event.altKey && (event.code === 'Period' || event.key === '.');
}
