import type { Server } from 'node:http';

export function staticServer(root: string, options?: { isolate?: boolean }): Server;
export function listen(server: Server, host: string, port: number, tries?: number): Promise<number>;
