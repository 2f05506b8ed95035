/** What a lesson of the playground is. */
export interface Lesson {
  /** Its name in links. */
  readonly id: string;
  readonly title: string;
  /** A few paragraphs for people: what to look at, and what to try. */
  readonly text: readonly string[];
  /** Source of the hypervisor; %include "vmx.inc" brings what all lessons have in common. */
  readonly l1: string;
  /** Source of the guest. */
  readonly l2: string;
}
