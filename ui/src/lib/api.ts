// The shapes of docs/api.md, and the few calls this page makes.

import { token } from './token.svelte';

export type IncidentState = 'open' | 'acknowledged' | 'resolved';

export interface Suspect {
  entity: string;
  metric: string;
  confidence: number;
  role: string;
  evidence: string;
}
export interface Incident {
  id: number;
  state: IncidentState;
  title: string;
  entity: string;
  onset: string;
  opened: string;
  updated: string;
  acknowledged: string | null;
  resolved: string | null;
  by: string;
  reopen_count: number;
  merged_into: number | null;
  alert_count: number;
  signal_count: number;
  entity_count: number;
  raw_count: number;
  awaiting_approval: number;
  suspect: Suspect | null;
}
export interface Judgement {
  kind: string;
  state: string;
  importance: 'normal' | 'low' | 'high' | 'critical';
  value: number | null;
  expected: number | null;
  lower: number | null;
  upper: number | null;
  surprise: number;
  why: string;
}
export interface Member {
  kind: 'signal' | 'alert' | 'change';
  id: string;
  name: string;
  entity: string;
  series: string | null;
  labels: Record<string, string>;
  since: string;
  joined: string;
  ended: string | null;
  why: string;
  signal?: Judgement | null;
}
export interface Cause {
  rank: number;
  entity: string;
  metric: string;
  series: string | null;
  score: number;
  confidence: number;
  role: string;
  onset: string;
  evidence: string;
}
export interface ActionStep {
  state: string;
  at: string;
  reason: string;
  by: string;
}
export interface Action {
  id: string;
  incident: number;
  entity: string;
  runbook: string;
  step: string;
  state: string;
  dry_run: boolean;
  command: string;
  timeout_s: number;
  reason: string;
  by: string;
  created: string;
  updated: string;
  can: string[];
  history: ActionStep[];
}
export interface TimelineEvent {
  at: string;
  kind: string;
  text: string;
  by: string;
  entity: string;
  ref: string;
}
export interface Feedback {
  at: string;
  by: string;
  verdict: string;
  entity: string;
  note: string;
}
export interface IncidentDetail extends Incident {
  members: Member[];
  causes: Cause[];
  cause_rankings: number;
  actions: Action[];
  timeline: TimelineEvent[];
  feedback: Feedback[];
  noise: { raw: number; incidents: number; saved: number };
}
export type Point = [number, number | null];
export type Band = [number, number | null, number | null, number | null];
export interface SeriesData {
  id: string;
  metric: string;
  labels: Record<string, string>;
  entity: string;
  type: string;
  step_s: number;
  points: Point[];
  bands: Band[];
}
export interface Stats {
  incidents: number;
  resolved: number;
  raw_count: number;
  saved: number;
  noise_reduction: number | null;
  mttd_s: number | null;
  mttr_s: number | null;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    text: string,
  ) {
    super(text);
  }
}

const TIMEOUT_MS = 20_000; // the daemon gives up on a command after five seconds

async function call<T>(path: string, init?: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiError(0, 'The daemon does not answer.');
  }
  const body: unknown = await answer.json().catch(() => null);
  if (!answer.ok) {
    const said = (body as { error?: unknown } | null)?.error;
    throw new ApiError(answer.status, typeof said === 'string' ? said : `HTTP ${answer.status}`);
  }
  return body as T;
}

/** Asks for the token, and again, until the daemon takes it or the person gives up. */
async function post<T>(path: string, body: Record<string, string>): Promise<T> {
  for (;;) {
    try {
      return await call<T>(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...token.headers },
        body: JSON.stringify(body),
      });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401)) throw error;
      if ((await token.ask(error.message)) === null) throw error;
    }
  }
}

export const api = {
  incidents: (state: string, before?: number) =>
    call<{ incidents: Incident[]; next_before: number | null }>(
      `/api/v1/incidents?state=${state}&limit=100${before ? `&before=${before}` : ''}`,
    ),
  incident: (id: number) => call<IncidentDetail>(`/api/v1/incidents/${id}`),
  stats: () => call<Stats>('/api/v1/stats?window=7d'),
  status: () => call<Record<string, unknown>>('/api/v1/status'),
  series: (ids: string[], start: number, end: number) =>
    call<{ series: SeriesData[] }>(
      `/api/v1/bands?${ids.map((id) => `series=${id}`).join('&')}` +
        `&start=${start.toFixed(0)}&end=${end.toFixed(0)}&max_points=1200&limit=100`,
    ),
  ack: (id: number, by: string) => post<IncidentDetail>(`/api/v1/incidents/${id}/ack`, { by }),
  resolve: (id: number, by: string) =>
    post<IncidentDetail>(`/api/v1/incidents/${id}/resolve`, { by }),
  feedback: (id: number, body: Record<string, string>) =>
    post<IncidentDetail>(`/api/v1/incidents/${id}/feedback`, body),
  decide: (action: string, decision: string, by: string) =>
    post<Action>(`/api/v1/actions/${action}/${decision}`, { by }),
};
