// What the daemon tells by itself: its events (SSE) and, every few seconds, its status.

import { api } from './api';

export interface LiveEvent {
  kind: 'incident' | 'action';
  data: Record<string, unknown>;
}
type Listener = (event: LiveEvent | null) => void;

const RETRY_MS_FIRST = 1000;
const RETRY_MS_MAX = 15000;
const STATUS_MS = 5000;

class Live {
  /** null: not yet known */
  connected = $state<boolean | null>(null);
  status = $state<Record<string, unknown> | null>(null);
  /** Records accepted a second, between the last two readings of the status. */
  rate = $state<number | null>(null);
  /** The engine's time in ms: the wall's, or that of the newest input. */
  now = $state(Date.now());

  private listeners = new Set<Listener>();
  private retryMs = RETRY_MS_FIRST;
  private source: EventSource | null = null;
  private read: { accepted: number; uptime: number } | null = null;
  private ahead = 0;

  start(): void {
    this.connect();
    void this.readStatus();
    setInterval(() => void this.readStatus(), STATUS_MS);
    setInterval(() => {
      if (this.status?.['clock'] !== 'input') this.now = Date.now() + this.ahead;
    }, 1000);
  }

  /** Called for every event, and with null when the stream (re)opens: fetch everything anew,
   *  for what came between the last fetch and now is not told. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(event: LiveEvent | null): void {
    for (const listener of this.listeners) listener(event);
  }

  private connect(): void {
    const source = new EventSource('/api/v1/events');
    this.source = source;
    source.onopen = () => {
      this.connected = true;
      this.retryMs = RETRY_MS_FIRST;
      this.tell(null);
    };
    source.onerror = () => this.lost(source);
    for (const kind of ['incident', 'action'] as const) {
      source.addEventListener(kind, (message: MessageEvent<string>) => {
        const data = parse(message.data);
        if (data) this.tell({ kind, data });
      });
    }
    // More happened than the daemon keeps for slow watchers.
    source.addEventListener('missed', () => this.tell(null));
  }

  /** The browser gives up on a daemon that is restarting; we do not. */
  private lost(source: EventSource): void {
    if (source !== this.source) return;
    source.close();
    this.connected = false;
    setTimeout(() => this.connect(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MS_MAX);
  }

  async readStatus(): Promise<void> {
    if (document.hidden && this.status) return;
    try {
      const status = await api.status();
      this.status = status;
      this.measure(status);
      const now = status['now'];
      if (typeof now === 'string') {
        this.now = Date.parse(now);
        this.ahead = this.now - Date.now();
      }
    } catch {
      this.status = null;
    }
  }

  private measure(status: Record<string, unknown>): void {
    const { accepted, uptime_s: uptime } = status;
    if (typeof accepted !== 'number' || typeof uptime !== 'number') return;
    const before = this.read;
    this.read = { accepted, uptime };
    this.rate =
      before && uptime > before.uptime ? Math.max(0, (accepted - before.accepted) / (uptime - before.uptime)) : null;
  }
}

function parse(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
}

export const live = new Live();

/** Runs `work` soon, at most once in `ms`, and once more for what came meanwhile; no more once
 *  the effect or the part of the page that called this has gone. */
export function calmly(work: () => void, ms: number): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let last = 0;
  let gone = false;
  $effect(() => () => {
    gone = true;
    if (timer !== null) clearTimeout(timer);
  });
  return () => {
    if (timer !== null || gone) return;
    timer = setTimeout(
      () => {
        timer = null;
        last = Date.now();
        work();
      },
      Math.max(30, last + ms - Date.now()),
    );
  };
}

/** For a part of the page that asks the daemon: each call starts a question and returns what tells
 *  whether its answer still counts. It does not once a newer one was asked, or the part has gone. */
export function questions(): () => () => boolean {
  let newest = 0;
  $effect(() => () => {
    newest = NaN;
  });
  return () => {
    const mine = ++newest;
    return () => mine === newest;
  };
}
