/** Code page 437 as Unicode: what the characters of a PC's text screen are. */

const LOW = ' ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼';
const HIGH = 'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

/** The character of each of the 256 codes; 0 is a blank. */
export const CP437: readonly string[] = Array.from({ length: 256 }, (_, code) =>
  code < 0x20 ? LOW[code] : code < 0x7f ? String.fromCharCode(code) : code === 0x7f ? '⌂' : HIGH[code - 0x80]);
