/** All demos: the configurations of public/demos, which the build puts into the page. */
import texts from 'virtual:demos';
import { makeDemo } from './demos';
import type { Demo } from './demos';

export const DEMOS: readonly Demo[] = Object.entries(texts).map(([name, text]) => makeDemo(name, text));
