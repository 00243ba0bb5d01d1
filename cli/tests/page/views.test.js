// What the page shows of several programs: search, families, comparison, quantiles, and what it says when something fails.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { browser, directory, open, end, publish, serve, sleep, tokenFile, until } from './support.js';

let server, chrome, first, second, path;

before(async () => {
  path = directory();
  publish(path, 2, 5);
  [server, chrome] = await Promise.all([serve(path), browser()]);
  [first, second] = await server.programs(2);
});
after(end);

const plot = (page, number = 0) => page.locator('.panel').nth(number);
/** Number of pixels of the canvas of a graph that have nearly a colour: red, green, blue, opacity. */
const pixels = (page, colour, number = 0) => plot(page, number).locator('canvas').evaluate((canvas, wanted) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) if (wanted.every((part, index) => Math.abs(data[at + index] - part) < 9)) count += 1;
  return count;
}, colour);
const light = { colorScheme: 'light', viewport: { width: 1280, height: 800 } };

test('search_finds_programs_and_fields_as_you_type', async () => {
  const { page, errors } = await open(chrome, server);
  const query = page.locator('#query');
  const names = page.locator('#hits .name');
  await query.fill('program-1');
  await until(async () => (await names.first().textContent().catch(() => ''))?.startsWith('program-1 '), 'the program');
  assert.match(await page.locator('#hits li').first().textContent(), /program, running/);
  await query.fill('queue');
  await until(async () => (await names.allTextContents()).join() === 'work.queue,work.queue', 'both fields');
  await query.fill('program-0 wait');
  await until(async () => (await names.allTextContents()).join() === 'work.queue', 'the field of one program, by its help');
  await query.fill('nothing like this');
  await page.locator('#hits', { hasText: 'No program or field has these words.' }).waitFor();
  await query.fill('program-1');
  await until(async () => (await names.first().textContent().catch(() => ''))?.startsWith('program-1 '), 'the program again');
  await query.press('Enter');
  await page.locator('h1', { hasText: 'program-1' }).waitFor();
  assert.equal(new URL(page.url()).hash, `#/p/${second.id}`);
  assert.deepEqual(errors, []);
  await page.context().close();
});

test('search_says_how_many_hits_it_leaves_out', async () => {
  const many = directory();
  publish(many, 3, 60);
  const other = await serve(many);
  await other.programs(3);
  const answer = await until(async () => {
    const found = await other.api('search?q=counter');
    return found.hits.length + found.more === 180 && found;
  }, 'all fields');
  assert.equal(answer.hits.length, 100);
  const { page } = await open(chrome, other);
  await page.locator('#query').fill('counter');
  await page.locator('#hits', { hasText: '180 hits, 140 of them not shown' }).waitFor();
  await page.context().close();
});

test('family_is_a_graph_for_each_combination_or_their_sum', async () => {
  const { page, errors } = await open(chrome, server, `/p/${first.id}`);
  const family = page.locator('tr.family', { hasText: 'http.requests' });
  await family.getByRole('button', { name: 'Sum of http.requests' }).click();
  await page.locator('.panel h3', { hasText: 'Sum of http.requests' }).waitFor();
  assert.equal(await page.locator('.panel').count(), 1);
  // 53 for each turn of the publisher, of which the API has the true rate.
  const near = async () => {
    const { series } = await server.api(`series?program=${first.id}&family=http.requests&sum=1&what=rate&steps=3`);
    const truth = series[0].last.at(-1);
    const shown = Number.parseFloat(await plot(page).locator('.figure').textContent()) * (/k/.test(await plot(page).locator('.figure').textContent()) ? 1000 : 1);
    return truth > 100 && Math.abs(shown - truth) < truth / 5;
  };
  await until(near, 'the sum of the rates');
  await family.getByRole('button', { name: 'Split http.requests' }).click();
  await until(async () => await page.locator('.panel').count() === 5, 'the sum and four graphs');
  const titles = await page.locator('.panel h3').allTextContents();
  for (const code of ['200', '500']) {
    for (const method of ['GET', 'POST']) {
      assert.equal(titles.filter((title) => title.includes(`"${code}"`) && title.includes(`"${method}"`)).length, 1, `${method} ${code} in ${titles}`);
    }
  }
  for (let number = 0; number < 5; number += 1) await plot(page, number).locator('.u-wrap canvas').waitFor();
  await family.getByRole('button', { name: 'Split http.requests' }).click();
  await until(async () => await page.locator('.panel').count() === 1, 'the sum alone');
  assert.deepEqual(errors, []);
  await page.context().close();
});

test('two_programs_are_compared_in_one_graph', async () => {
  const { page, errors } = await open(chrome, server, `/p/${first.id}?f=answer.size&show=rate%3Aanswer.size&f=work.queue`, light);
  const name = `program-1 ${second.local_pid ?? second.pid}`;
  await page.locator('#compare').focus();
  await until(() => page.locator('#compare option', { hasText: 'program-1' }).count(), 'the other program');
  await page.locator('#compare').selectOption(second.id);
  const legend = plot(page).locator('.legend');
  await until(async () => (await legend.textContent())?.includes(name), 'its name in the legend');
  assert.match(await legend.textContent(), /^this /);
  // Its line has the second colour, dashed.
  await until(async () => await pixels(page, [160, 74, 0, 255]) > 20, 'the line of the other');
  assert.equal(await page.locator('.panel').count(), 2);
  await page.locator('.fields.compared thead', { hasText: name }).waitFor();
  await until(() => page.locator('.fields td.other[data-differs]').count(), 'values that differ');
  const [names, table] = await Promise.all(['thead th', ''].map((part) => page.locator(`.fields.compared ${part}`).first().evaluate((element) => element.clientWidth)));
  assert.ok(names > table * 0.3, `${names} of ${table} px are for names`);
  assert.deepEqual(errors, []);
  await page.context().close();
});

test('comparison_with_what_is_not_there_says_so', async () => {
  const small = directory();
  publish(small, 1, 6);
  const other = await serve(small);
  const [many] = await other.programs(1);
  publish(small, 1, 1);
  const few = await until(async () => (await other.api('programs')).programs.find((one) => one.id !== many.id && one.fields), 'the other');
  const { page } = await open(chrome, other, `/p/${many.id}?f=group5.counter5&vs=${few.id}`);
  await plot(page).locator('.note', { hasText: 'Nothing to compare with' }).waitFor();
  await page.context().close();
});

test('field_that_is_not_there_does_not_stop_the_others', async () => {
  const { page } = await open(chrome, server, `/p/${first.id}?f=work.queue&f=no.such.field`);
  await page.locator('.note', { hasText: 'This program has no field no.such.field.' }).waitFor();
  const value = () => plot(page).locator('.figure').textContent();
  const before = await value();
  await until(async () => await value() !== before, 'another value');
  assert.equal(await page.locator('#connection').textContent(), '');
  await page.context().close();
});

test('quantiles_are_filled_bands', async () => {
  const { page, errors } = await open(chrome, server, `/p/${first.id}?f=answer.size`, light);
  await plot(page).locator('.u-wrap canvas').waitFor();
  for (const opacity of [0.38, 0.24, 0.13]) {
    await until(async () => await pixels(page, [11, 92, 173, opacity * 255]) > 30, `a band of opacity ${opacity}`);
  }
  assert.equal(await plot(page).locator('.legend .band').count(), 3);
  assert.deepEqual(errors, []);
  await page.context().close();
});

test('page_without_plots_has_small_graphs_and_says_what_adds_them', async () => {
  const context = await chrome.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.route('**/api/1/about', async (route) => {
    const about = await server.api('about');
    await route.fulfill({ json: { ...about, plots: false, plots_hint: 'npm ci in cli/page, then build again' } });
  });
  await page.route('**/vendor/**', (route) => route.fulfill({ status: 404 }));
  await page.goto(`${server.url}#token=${server.token}&/p/${first.id}?f=work.queue&f=answer.size`);
  await page.locator('#foot', { hasText: 'npm ci in cli/page' }).waitFor();
  const line = () => plot(page).locator('svg path.stroke').getAttribute('d');
  await until(async () => (await line().catch(() => ''))?.length > 20, 'a line');
  const before = await line();
  await until(async () => await line() !== before, 'it moves');
  await until(async () => (await plot(page, 1).locator('svg path.area').count()) === 3, 'bands of quantiles');
  await until(async () => (await plot(page, 1).locator('svg path.area').first().getAttribute('d')) !== '', 'a filled band');
  assert.equal(await page.locator('canvas').count(), 0);
  assert.deepEqual(errors, []);
  await context.close();
});

test('plots_that_do_not_load_leave_small_graphs', async () => {
  const context = await chrome.newContext();
  const page = await context.newPage();
  await page.route('**/vendor/uplot/uPlot.esm.js', (route) => route.abort());
  await page.goto(`${server.url}#token=${server.token}&/p/${first.id}?f=work.queue`);
  await plot(page).locator('svg path.stroke').waitFor({ state: 'attached' });
  await page.locator('#foot', { hasText: 'graphs cannot be loaded' }).waitFor();
  await context.close();
});

test('stream_that_fails_is_stale_and_comes_back', async () => {
  const file = tokenFile();
  const served = await serve(path, '--listen', '127.0.0.1:0', '--token-file', file);
  const { port } = new URL(served.url);
  const { page } = await open(chrome, served, `/p/${first.id}?f=work.queue`);
  const home = await open(chrome, served);
  await home.page.locator('a.name').first().waitFor();
  const value = () => plot(page).locator('.figure').textContent();
  await plot(page).locator('.u-wrap canvas').waitFor();
  const before = await value();
  await until(async () => await value() !== before, 'values');
  served.child.kill('SIGKILL');
  for (const one of [page, home.page]) {
    await one.locator('#connection.trouble', { hasText: /^Stale since \d\d:\d\d:\d\d: .*trying again in/ }).waitFor({ timeout: 10_000 });
    assert.equal(await one.evaluate(() => document.documentElement.dataset.stale), 'yes');
    await one.locator('#time', { hasText: 'stale since' }).waitFor();
  }
  const last = await value();
  await sleep(1200);
  assert.equal(await value(), last);
  await serve(path, '--listen', `127.0.0.1:${port}`, '--token-file', file);
  await until(async () => await value() !== last, 'values again');
  for (const one of [page, home.page]) {
    await until(async () => await one.locator('#connection').textContent() === '', 'no trouble any more');
    await one.locator('#time', { hasText: 'live' }).waitFor();
    assert.equal(await one.evaluate(() => document.documentElement.dataset.stale), undefined);
    await one.context().close();
  }
});

test('token_that_is_another_one_is_asked_for', async () => {
  const context = await chrome.newContext();
  const page = await context.newPage();
  await page.goto(`${server.url}#token=wrong&/`);
  await page.locator('#token').fill(server.token);
  await page.getByRole('button', { name: 'Open', exact: true }).click();
  await page.locator('a.name').first().waitFor();
  await context.close();
});
