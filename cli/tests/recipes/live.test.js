// Recipes as they run: exporters by their command lines, a real Prometheus with its configuration and alerts,
// and each query of the dashboard. All of it listens on loopback only, and ends with the test.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { TOKEN, commands, folder, mmstats, text, token } from './files.js';

const PATIENCE = 60_000;

/** Starts a process that is killed at the end of the test.
 * @param {import('node:test').TestContext} t @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
function start(t, command, args, env = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } });
  const output = { child, said: '' };
  child.stderr?.on('data', (data) => (output.said += data));
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  return output;
}

/** Asks until there is an answer. @template T @param {string} what @param {() => Promise<T | undefined>} ask @returns {Promise<T>} */
async function until(what, ask) {
  const end = Date.now() + PATIENCE;
  let last;
  while (Date.now() < end) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = error;
    }
    await new Promise((wake) => setTimeout(wake, 200));
  }
  throw new Error(`not within ${PATIENCE} ms: ${what}`, { cause: last });
}

/** Starts an exporter by the command line of a recipe, and returns its address.
 * @param {import('node:test').TestContext} t @param {string[]} line @param {string} published @param {string} secret */
async function exporter(t, line, published, secret) {
  const args = line.slice(1);
  for (const [option, value] of [['--listen', '127.0.0.1:0'], ['--token-file', secret]]) {
    const at = args.indexOf(option);
    assert.ok(at >= 0, `${option} in ${line.join(' ')}`);
    args[at + 1] = value;
  }
  const running = start(t, mmstats, args, { MMSTATS_PATH: published });
  return until(`${line.join(' ')}: ${running.said}`, async () => {
    assert.equal(running.child.exitCode, null, running.said);
    return /http:\/\/([\d.:]+)\//.exec(running.said)?.[1];
  });
}

test('exporter_answers_by_the_command_line_of_each_recipe', async (t) => {
  const directory = folder(t);
  const secret = token(directory);
  for (const [name, line] of Object.entries(commands())) {
    const address = await exporter(t, line, directory, secret);
    const url = `http://${address}/metrics`;
    const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
    assert.equal(answer.status, 200, name);
    assert.match(await answer.text(), /mmstats_export_losses/, name);
    assert.equal((await fetch(url)).status, 401, name);
  }
});

test('prometheus_has_data_for_each_query_and_sees_a_program_die', { timeout: 4 * PATIENCE }, async (t) => {
  const directory = folder(t);
  const secret = token(directory);
  const published = join(directory, 'published');
  mkdirSync(published);
  start(t, mmstats, ['demo', '--seconds', '0', '--threads', '1'], { MMSTATS_PATH: published });
  const address = await exporter(t, commands()['systemd/mmstats-export.service'], published, secret);

  const config = text('prometheus/prometheus.yml')
    .replaceAll('/etc/mmstats/token', secret)
    .replace('"127.0.0.1:6679"', `"${address}"`)
    .replaceAll('_interval: 15s', '_interval: 1s')
    // Nothing but the one machine.
    .replace(/\n {2}# Pods[^]*$/, '\n');
  assert.ok(config.includes(address) && !config.includes('kubernetes_sd'));
  writeFileSync(join(directory, 'prometheus.yml'), config);
  writeFileSync(join(directory, 'alerts.yml'), text('prometheus/alerts.yml'));
  const port = await new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => done(port));
    });
  });
  const prometheus = start(t, 'prometheus', [`--config.file=${directory}/prometheus.yml`, `--storage.tsdb.path=${directory}/data`,
    `--web.listen-address=127.0.0.1:${port}`]);

  /** @param {string} path @param {Record<string, string>} [parameters] */
  const api = async (path, parameters = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const body = /** @type {any} */ (await answer.json());
    assert.equal(body.status, 'success', `${JSON.stringify(parameters)}: ${body.error}`);
    return body.data;
  };
  const query = async (/** @type {string} */ text) => (await api('query', { query: text })).result;
  await until(`scrapes: ${prometheus.said}`, async () => (await query('count_over_time(demo_blocks_total[1m]) > 3'))[0]);

  // The figures of the README, after relabelling.
  for (const [series, expected] of [['demo_blocks.*', 1], ['demo_latency_.+', 5], ['demo_compress_.+', 40], ['(mmstats|sys)_.+', 6]]) {
    const [{ value }] = await query(`count({__name__=~"${series}",pid!=""})`);
    assert.equal(Number(value[1]), expected, String(series));
  }

  const variables = { job: '.*', instance: '.*', command: '.*', counter: 'demo_blocks_total', gauge: 'demo_queue',
    histogram: 'demo_compress_seconds', __rate_interval: '30s', datasource: 'prometheus' };
  const fill = (/** @type {string} */ text) => text.replaceAll(/\$(?:\{(\w+)\}|([a-zA-Z_]\w*))/g, (all, braced, bare) => {
    const value = /** @type {Record<string, string>} */ (variables)[braced ?? bare];
    assert.ok(value, `${all} is no variable`);
    return value;
  });
  const dashboard = parse(text('grafana/mmstats.json'));
  for (const variable of dashboard.templating.list.filter((/** @type {any} */ one) => one.type === 'query')) {
    const asked = fill(variable.query.query);
    const labels = /^label_values\((.*), (\w+)\)$/.exec(asked);
    const expression = labels ? `group by (${labels[2]}) (${labels[1]})` : /^query_result\((.*)\)$/.exec(asked)?.[1];
    assert.ok(expression, asked);
    const found = await query(expression);
    assert.ok(found.length > 0, asked);
    if (variable.regex) {
      // The text of a result begins with its name, as Grafana writes it.
      const regex = new RegExp(variable.regex.slice(1, -1));
      const value = /** @type {Record<string, string>} */ (variables)[variable.name];
      const values = found.map((/** @type {any} */ one) => regex.exec(`{__name__="${one.metric.__name__}"} 1 1`)?.[1]);
      assert.ok(values.includes(value), `${variable.name}: ${values.join(' ')}`);
    }
  }
  // A demo has nothing that is in progress. The tests of the alerts have.
  const empty = ['Oldest in progress'];
  for (const panel of dashboard.panels) {
    for (const target of panel.targets ?? []) {
      const found = await query(fill(target.expr));
      assert.equal(found.length > 0, !empty.includes(panel.title), `${panel.title}: ${target.expr}`);
    }
  }

  const rules = () => api('rules').then((data) => data.groups.flatMap((/** @type {any} */ group) => group.rules));
  await until('evaluated rules', async () => (await rules()).every((/** @type {any} */ rule) => rule.health === 'ok') || undefined);
  const names = (await rules()).map((/** @type {any} */ rule) => rule.name);
  assert.deepEqual((await rules()).filter((/** @type {any} */ rule) => rule.state !== 'inactive'), [], String(names));

  const [{ metric }] = await query('mmstats_up == 1');
  process.kill(Number(metric.pid), 'SIGKILL');
  await until('mmstats_up is 0', async () => (await query('mmstats_up == 0'))[0]);
  await until('an alert', async () => (await rules()).find((/** @type {any} */ rule) => rule.name === 'MmstatsProgramGone' && rule.state === 'pending'));
});
