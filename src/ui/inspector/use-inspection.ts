/** Questions to the machine from React: asked again when the machine stops, and a few times a second while it runs. */
import { useEffect, useState } from 'react';
import type { AnswerTo, InspectorQuery } from '../../observe/inspector';
import type { MachineClient, MachineSnapshot } from '../machine-client';

/** Time between answers while the machine runs. */
const SAMPLE_MS = 200;

/** The latest answer to a query, null before the first; query null: nothing is asked. */
export function useInspection<Q extends InspectorQuery>(client: MachineClient, machine: MachineSnapshot, query: Q | null): AnswerTo<Q> | null {
  const [answer, setAnswer] = useState<AnswerTo<Q> | null>(null);
  const text = query === null ? '' : JSON.stringify(query);
  const { status, stop } = machine;
  useEffect(() => {
    if (text === '') return undefined;
    let live = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      const found = await client.inspect(JSON.parse(text) as Q);
      if (!live) return;
      setAnswer(found);
      if (status === 'running' || status === 'starting') timer = setTimeout(() => void ask(), SAMPLE_MS);
    };
    void ask();
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [client, text, status, stop]);
  return query === null ? null : answer;
}
