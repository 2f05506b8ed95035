/** The playground's lessons, in the order in which they are meant to be read. */
import { ENTER_VMX } from './enter-vmx';
import { EPT_VIOLATION } from './ept-violation';
import { FIRST_EXIT } from './first-exit';
import { INJECT_INTERRUPT } from './inject-interrupt';
import type { Lesson } from './lesson';
import { MSR_BITMAP } from './msr-bitmap';
import { REAL_MODE } from './real-mode';

export type { Lesson } from './lesson';

export const LESSONS: readonly Lesson[] = [ENTER_VMX, FIRST_EXIT, EPT_VIOLATION, MSR_BITMAP, INJECT_INTERRUPT, REAL_MODE];
