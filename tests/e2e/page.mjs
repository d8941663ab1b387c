// The page of a running daemon in a real browser (Debian's chromium, by playwright-core).
//
//   node page.mjs look URL FOLDER   what is there: the list, the newest incident; pictures
//   node page.mjs live URL FOLDER   a daemon without incidents: empty state, then alerts are
//                                   sent and the page must show them by itself; acknowledge
//   node page.mjs token URL FOLDER  a daemon that asks for the token in QUELL_TOKEN
//
// Prints one JSON line. Any message on the browser's console fails it, and so does a request
// to anywhere but URL.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const [mode, url, folder] = process.argv.slice(2);
if (!['look', 'live', 'token'].includes(mode) || !url || !folder) {
  console.error('usage: node page.mjs look|live|token URL FOLDER');
  process.exit(2);
}
mkdirSync(folder, { recursive: true });

const FLAGS =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking ' +
  '--disable-component-update --disable-sync';
const SIZES = {
  desktop: { width: 1280, height: 900 },
  phone: { width: 390, height: 844 },
};
const profile = mkdtempSync(path.join(tmpdir(), 'quell-page-'));
const pictures = [];
const complaints = [];

async function open(colorScheme, size, work) {
  const context = await chromium.launchPersistentContext(path.join(profile, `${colorScheme}-${size}`), {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS.split(' '),
    colorScheme,
    viewport: SIZES[size],
    timezoneId: 'UTC',
  });
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(60000);
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(url)) complaints.push(`request to ${request.url()}`);
    });
    await work(page, async (name) => {
      const file = path.join(folder, `${name}-${colorScheme}-${size}.png`);
      await page.screenshot({ path: file, fullPage: true });
      pictures.push(file);
    });
  } finally {
    await context.close();
  }
}

const api = async (address) => (await fetch(url + address)).json();
const rows = (page) => page.locator('main ul.list > li');

/** Nothing may stick out sideways, at any width. */
async function fits(page) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(content <= window, `the page is ${content} wide in a window of ${window}`);
}

/** What anybody who cannot see the page must be told. */
async function named(page) {
  assert.equal(await page.locator('h1').count(), 1);
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll('button, a, input, select')]
      .filter((e) => !(e.textContent?.trim() || e.ariaLabel || e.labels?.length))
      .map((e) => e.outerHTML),
  );
  assert.deepEqual(unnamed, []);
}

async function seeIncident(page, incident) {
  await page.getByRole('heading', { level: 1, name: incident.title }).waitFor();
  await page.getByText(incident.state, { exact: true }).first().waitFor();
  for (const cause of incident.causes.slice(0, 3)) {
    await page.locator('section[aria-labelledby=causes] li', { hasText: cause.evidence }).first().waitFor();
  }
  const members = page.locator('section[aria-labelledby=members] li');
  assert.equal(await members.count(), incident.members.length, 'every member is listed');
  const joined = await members.first().textContent();
  assert.match(joined, /joined: \S/, 'with why it was joined');
  for (const action of incident.actions) {
    await page.locator('section[aria-labelledby=actions] article', { hasText: action.command }).first().waitFor();
  }
  assert.ok((await page.locator('section[aria-labelledby=timeline] li').count()) > 0);
  const plotted = new Set(incident.members.filter((m) => m.signal && m.series).map((m) => m.series)).size;
  if (plotted > 0) {
    await page.locator('section[aria-labelledby=plots] canvas').first().waitFor();
    assert.ok((await page.locator('section[aria-labelledby=plots] figure').count()) > 0);
  }
  return plotted;
}

async function look() {
  const { incidents } = await api('/api/v1/incidents');
  assert.ok(incidents.length > 0, 'there is an incident to look at');
  const incident = await api(`/api/v1/incidents/${incidents[0].id}`);
  let plotted = 0;
  for (const [scheme, size] of [
    ['light', 'desktop'],
    ['dark', 'desktop'],
    ['light', 'phone'],
  ]) {
    await open(scheme, size, async (page, picture) => {
      await page.goto(`${url}/`);
      await rows(page).first().waitFor();
      assert.equal(await rows(page).count(), incidents.length);
      await page.getByText('live', { exact: true }).waitFor();
      await page.getByLabel('Status of the daemon').getByText(/Quell \d/).waitFor();
      await fits(page);
      await named(page);
      await picture('list');
      await page.getByRole('link', { name: incident.title }).first().click();
      await page.waitForURL(`**/incidents/${incident.id}`);
      plotted = await seeIncident(page, incident);
      await page.waitForTimeout(600); // for the last plot to be drawn, before its picture is taken
      await fits(page);
      await named(page);
      await picture('incident');
      await page.reload(); // a deep link is served too
      await seeIncident(page, incident);
    });
  }
  return { incidents: incidents.length, members: incident.members.length, causes: incident.causes.length, plotted };
}

function alert(service, name) {
  return {
    labels: { alertname: name, service, severity: 'critical' },
    annotations: { summary: `${name} on ${service}` },
    startsAt: new Date().toISOString(),
  };
}
async function send(alerts) {
  const answer = await fetch(`${url}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(alerts),
  });
  assert.equal(answer.status, 200);
}

/** Out of its range by a policy, which says that it is critical too. */
async function sendTooDeep() {
  const point = { timeUnixNano: `${Date.now()}000000`, asDouble: 903, attributes: [{ key: 'service', value: { stringValue: 'checkout' } }] };
  const metrics = [{ name: 'queue_depth', gauge: { dataPoints: [point] } }];
  const answer = await fetch(`${url}/v1/metrics`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }),
  });
  assert.equal(answer.status, 200);
}

/** A daemon that asks for the token in QUELL_TOKEN: given up, wrong, right, and not again. */
async function token() {
  for (const [scheme, size] of [
    ['light', 'desktop'],
    ['dark', 'phone'],
  ]) {
    const service = `checkout-${scheme}`;
    await open(scheme, size, async (page, picture) => {
      await send([alert(service, 'HighLatency')]);
      await page.goto(`${url}/incidents`);
      await rows(page).filter({ hasText: service }).getByRole('link').first().click();
      const dialog = page.getByRole('dialog', { name: 'This needs the token' });
      const acknowledge = page.getByRole('button', { name: 'Acknowledge' });
      await acknowledge.click();
      await dialog.getByText('api.token_file').waitFor();
      await fits(page);
      await named(page);
      await picture('token');
      await dialog.getByRole('button', { name: 'Not now' }).click();
      await dialog.waitFor({ state: 'hidden' });
      await acknowledge.click();
      await dialog.getByLabel('Token').fill('not-this-one-0123456');
      await dialog.getByRole('button', { name: 'Go on' }).click();
      await dialog.getByText('is not the one').waitFor();
      await dialog.getByLabel('Token').fill(process.env.QUELL_TOKEN);
      await dialog.getByRole('button', { name: 'Go on' }).click();
      await page.getByText('acknowledged', { exact: true }).first().waitFor();
      await page.reload(); // the tab keeps it
      await page.getByRole('button', { name: 'Resolve' }).click();
      await page.getByText('resolved', { exact: true }).first().waitFor();
      assert.equal(await page.evaluate(() => localStorage.getItem('quell.token')), null);
    });
  }
  // The browser itself writes a line for each 401.
  const others = complaints.filter((text) => !text.includes('401'));
  complaints.length = 0;
  complaints.push(...others);
  return {};
}

/** Somebody who is quicker than the daemon: a page that was left must not mind what it asked for. */
async function leaveEarly(page) {
  const slowly = async (route) => {
    await new Promise((done) => setTimeout(done, 700));
    await route.continue();
  };
  await page.route('**/api/v1/incidents*', slowly);
  await page.getByRole('link', { name: 'Incidents', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'Incidents' }).waitFor();
  await page.goBack();
  await page.getByRole('status').filter({ hasText: 'Loading' }).waitFor();
  await page.waitForTimeout(1000); // the answer to the list came meanwhile
  await page.unroute('**/api/v1/incidents*', slowly);
}

async function live() {
  await open('light', 'desktop', async (page, picture) => {
    await page.goto(`${url}/incidents`);
    await page.getByRole('heading', { name: 'Nothing is being watched yet' }).waitFor();
    await page.getByText(`${url}/api/v1/write`).waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    await fits(page);
    await picture('empty');

    await send([alert('checkout', 'HighLatency'), alert('checkout', 'HighErrorRate')]);
    await rows(page).first().waitFor(); // by itself: nothing was reloaded
    await page.locator('p[role=status]', { hasText: /Incident \d+ opened: / }).waitFor({ state: 'attached' });
    assert.equal(await rows(page).count(), 1);
    await page.getByLabel('Filter by title').fill('no such thing');
    await page.getByText('No incident matches').waitFor();
    await page.getByLabel('Filter by title').fill('checkout');
    await rows(page).first().waitFor();
    assert.equal(new URL(page.url()).search, '?q=checkout');

    await rows(page).first().getByRole('link').click();
    const members = page.locator('section[aria-labelledby=members] li');
    await members.filter({ hasText: 'HighErrorRate' }).waitFor();
    assert.equal(await page.locator('.importance').count(), 0, 'an alert has no importance');
    await sendTooDeep();
    await members.filter({ hasText: 'queue_depth' }).locator('.importance', { hasText: 'critical' }).waitFor();
    await page.getByRole('button', { name: 'Acknowledge' }).click();
    await page.getByText('acknowledged', { exact: true }).first().waitFor();
    await page.getByRole('button', { name: 'Real incident' }).click();
    await page.locator('section[aria-labelledby=feedback] li', { hasText: 'a real incident' }).waitFor();
    await named(page);
    await picture('acknowledged');
    await leaveEarly(page);

    await page.getByRole('button', { name: 'Resolve' }).click();
    await page.getByText('resolved', { exact: true }).first().waitFor();
    await page.goto(`${url}/incidents/none`);
    await page.getByRole('heading', { level: 1, name: 'Not here' }).waitFor();
    await page.goBack();
    await page.getByText('resolved', { exact: true }).first().waitFor();
  });
  const { incidents } = await api('/api/v1/incidents');
  assert.equal(incidents.length, 1);
  assert.equal(incidents[0].state, 'resolved');
  return { incidents: 1 };
}

try {
  const seen = await { look, live, token }[mode]();
  assert.deepEqual(complaints, []);
  console.log(JSON.stringify({ ...seen, pictures }));
} catch (error) {
  console.error(`${error.stack}\n${complaints.join('\n')}`);
  process.exitCode = 1;
} finally {
  rmSync(profile, { recursive: true, force: true });
}
