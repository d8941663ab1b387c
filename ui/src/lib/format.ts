// Times and numbers as people read them.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** "42 s", "3 min", "2 h 5 min", "3 d 4 h" */
export function duration(ms: number): string {
  const t = Math.max(0, ms);
  if (t < MINUTE) return `${Math.round(t / 1000)} s`;
  if (t < HOUR) return `${Math.round(t / MINUTE)} min`;
  const [big, small, bigName, smallName]: [number, number, string, string] =
    t < DAY ? [HOUR, MINUTE, 'h', 'min'] : [DAY, HOUR, 'd', 'h'];
  const rest = Math.floor((t % big) / small);
  return `${Math.floor(t / big)} ${bigName}${rest > 0 ? ` ${rest} ${smallName}` : ''}`;
}

export function ago(at: string, now: number): string {
  const ms = now - Date.parse(at);
  return ms < 5000 ? 'just now' : `${duration(ms)} ago`;
}

/** Local time of day, with the date when it is not the day of `now`. */
export function clock(at: string | number, now = Date.now()): string {
  const t = new Date(at);
  const time = t.toLocaleTimeString(undefined, { hourCycle: 'h23' }); // with hour12 midnight is 24:00
  return t.toDateString() === new Date(now).toDateString()
    ? time
    : `${t.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })} ${time}`;
}

/** Three or four figures, with k, M, G above a thousand. */
export function number(v: number | null): string {
  if (v === null || !Number.isFinite(v)) return '–';
  const a = Math.abs(v);
  if (a === 0) return '0';
  for (const [size, suffix] of [
    [1e12, ' T'],
    [1e9, ' G'],
    [1e6, ' M'],
    [1e4, ' k'],
  ] as const) {
    const scale = suffix === ' k' ? 1e3 : size;
    if (a >= size) return trim(v / scale) + suffix;
  }
  return a < 0.001 ? v.toExponential(1) : trim(v);
}

function trim(v: number): string {
  const a = Math.abs(v);
  const digits = a >= 100 ? 0 : a >= 10 ? 1 : a >= 1 ? 2 : 3;
  return String(Number(v.toFixed(digits)));
}

/** A value in the unit its metric's name ends with. */
export function value(v: number | null, metric: string): string {
  if (v === null || !Number.isFinite(v)) return '–';
  if (metric.endsWith('_seconds')) return Math.abs(v) < 1 ? `${number(v * 1000)} ms` : `${number(v)} s`;
  if (metric.endsWith('_bytes')) return `${number(v)}B`.replace(/(\d)B/, '$1 B');
  if (metric.endsWith('_total') || metric.endsWith('_count')) return `${number(v)}/s`;
  return number(v);
}

export function percent(share: number | null): string {
  return share === null ? '–' : `${trim(share * 100)} %`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** "service/checkout" to its parts; an unknown entity has none. */
export function entityName(entity: string): string {
  return entity === '' ? 'unknown' : entity.slice(entity.indexOf('/') + 1);
}
export function entityKind(entity: string): string {
  return entity.includes('/') ? entity.slice(0, entity.indexOf('/')) : '';
}
