// The files of cli/recipes, and what several tests need of them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';

export const recipes = new URL('../../recipes/', import.meta.url).pathname;
export const mmstats = process.env.MMSTATS ?? 'mmstats';
export const TOKEN = '0123456789abcdef0123456789abcdef';

/** @param {string} name */
export const text = (name) => readFileSync(join(recipes, name), 'utf8');
/** @param {string} name */
export const yaml = (name) => parse(text(name), { merge: true });

/** The command lines in the recipes, by file. */
export function commands() {
  const unit = (/** @type {string} */ name) => {
    const line = /^ExecStart=(.*)$/m.exec(text(name));
    if (!line) throw new Error(`${name} has no ExecStart`);
    return line[1].split(' ');
  };
  const pod = yaml('kubernetes/sidecar.yaml').spec;
  const byName = (/** @type {any[]} */ list) => list.find((container) => container.name === 'exporter');
  return {
    'systemd/mmstats-export.service': unit('systemd/mmstats-export.service'),
    'systemd/mmstats-export-user.service': unit('systemd/mmstats-export-user.service'),
    'compose/compose.yaml': yaml('compose/compose.yaml').services.exporter.command,
    'kubernetes/sidecar.yaml': byName(pod.initContainers).command,
    'kubernetes/daemonset.yaml': byName(yaml('kubernetes/daemonset.yaml').spec.template.spec.containers).command,
  };
}

/** A folder that is removed at the end of the test. @param {import('node:test').TestContext} t */
export function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'mmstats-recipes-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** A file with the token. @param {string} directory */
export function token(directory) {
  const path = join(directory, 'token');
  writeFileSync(path, `${TOKEN}\n`, { mode: 0o600 });
  return path;
}

/** Runs a tool and returns what it said; throws that if it fails or is missing. @param {string[]} command */
export function run(...command) {
  const result = spawnSync(command[0], command.slice(1), { encoding: 'utf8' });
  const said = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${command.join(' ')}: status ${result.status}\n${said}`);
  return said;
}
