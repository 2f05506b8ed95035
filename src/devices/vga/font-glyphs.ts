/**
 * The drawings behind our own 8x16 font: characters that are no line graphics. A glyph is five dots wide; each letter of its text is a row, 0-9a-v for the five
 * dots, and the number before it the first row, counted from the top of capitals. font.ts makes the strokes two dots wide.
 */

/** Row 3 of the cell is row 0 here: capitals take rows 0 to 8, small letters 3 to 8, descenders go to 11. */
export const CAPITAL_TOP = 3;

/** Codes 20h to 7Fh in order: `ROW:ROWS`, row 0 if not given. */
export const ASCII = `
: 444444044 aaa aavaaavaa 4fkke55u4 op22488j3 ciicliiid 448 248888842 842222248 2:4lel4 2:44v44 8:448 4:v 7:44 1122488gg
ehhjlphhe 4ck44444v eh11248gv eh11611he 26aiiv222 vggu111he 68gguhhhe v11224444 ehhhehhhe ehhhf112c 3:440044 3:4400448 1:248g842 3:v00v 1:8421248 eh1244044
ehnllnghe 4ahhhvhhh uhhhuhhhu ehggggghe sihhhhhis vgggugggv vgggugggg ehggnhhhf hhhhvhhhh e4444444e 7222222ic hhikokihh ggggggggv hrllhhhhh hpplljjhh ehhhhhhhe
uhhhugggg ehhhhhlid uhhhukihh ehgge11he v44444444 hhhhhhhhe hhhhhhaa4 hhhhlllla hhaa4aahh hhha44444 v11248ggv e8888888e gg8842211 e2222222e 4ah 10:v
842 3:e1fhhf ggguhhhhu 3:ehgghe 111fhhhhf 3:ehvghe 6988s8888 3:fhhhhf11e ggguhhhhh 440c4444e 2206222222ic gggikokih c4444444e 3:qlllll 3:uhhhhh 3:ehhhhe
3:uhhhhuggg 3:fhhhhf111 3:mpgggg 3:fge11u 088s88896 3:hhhhhf 3:hhhaa4 3:hhllla 3:ha44ah 3:hhhhhf11e 3:v248gv 644484446 444444444 c4442444c 4:8l2 2:4ahhhv`;

/** Codes 01h to 1Fh. */
export const SYMBOLS = `
1:ehrhlhe 1:evlvhve 2:avvve4 1:44eve44 ee4vv4e4e 4eevv44e 3:4ee4 vvvrhhrvvv 2:eaaae vvhllhhvv 1:75kehhe ehhhe4v44 7455444os 7554577so 1:4lerel4
gsuvvusg 137fvvf731 4ev444ve4 aaaaaaa0a flllf5555 fgehhe1ue 6:vvv 4ev44ve4v 1:4ev4444 1:44444ve4 2:42v24 2:48v84 3:gggv 3:ahvha 2:44eevv 2:vvee44`;

/** Codes 80h to AFh: a base letter of ASCII with a mark (see MARKS), or a drawing. */
export const LATIN = `
C, u" e' a^ a" a\` ao c, e^ e" e\` i" i^ i\` A" Ao E' 3:q5fkkv 7akkvkkkn o^ o" o\` u^ u\` y" O" U" 2:4fkkkf4 69888s88v hha4v4v44 skksmkkkl 695s4444k8
a' i' o' u' n~ N~ efhf0v 0:ehhe0v 440448ghe 4:vgg 4:v11 gii4e0629 gii4a5723 440444444 3:9i9 3:i9i`;

/** Codes E0h to FEh. */
export const MATHEMATICS = `
3:dikkid ehhuhhhug vgggggggg 3:vaaaaa vg84248gv 3:fiiiic 3:hhhhhpngg 3:v44443 4e5lll5e4 ehhhvhhhe ehhhhaaar 788ehhhhe 4:allla 2:1ellleg 78gguggg87 ehhhhhhhh
2:v00v00v 1:44v440v 842124808v 248g8420v 25444444444444 44444444444kk8 2:404v404 4:8l208l2 ehhe 4:4e4 5:4 7222222ia4 siiii s24gu 3:vvvvvv`;

/** Marks above letters, and the cedilla below: rows as in a glyph, counted from the row where they begin. */
export const MARKS: Readonly<Record<string, string>> = { "'": '24', '`': '84', '^': '4a', '"': 'a', '~': 'dm', 'o': '4a4', ',': '48' };
