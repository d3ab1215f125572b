/** What `expertd doctor` judges: the device as the monitor sees it, and the configuration that an agent would have here. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ConfigChoice } from './cli/check.ts';
import type { Config } from './config.ts';
import { loadConfig } from './configuration.ts';
import type { Survey } from './device.ts';
import { AgentError } from './errors.ts';
import { shippedExpertsDir } from './files.ts';
import { readLoadAverage } from './monitor/os-utils.ts';
import { StorageMeter } from './monitor/storage.ts';
import { type DeviceSurvey, surveyDevice } from './monitor/survey.ts';
import { settingsOf } from './settings.ts';
import { CONFIG_NAME, STORAGE_FILE } from './start.ts';

type ConfigPart = Pick<Survey, 'budgetBytes' | 'configProblem'>;

export async function diagnose(choice: ConfigChoice): Promise<Survey> {
  const config = readConfig(choice);
  const valid = config instanceof AgentError ? null : config;
  const stateDir = valid?.stateDir ?? choice.stateDir;
  const expertsDir = valid?.expertsDir ?? shippedExpertsDir();
  const storage = new StorageMeter({
    folders: [expertsDir, join(stateDir, 'experts')],
    file: join(stateDir, STORAGE_FILE),
  });
  await storage.start();
  const { limitBytes, ...device } = surveyDevice({
    stateDir,
    nowMs: Date.now(),
    loadAverage: await readLoadAverage(),
    storageBytesPerSecond: storage.bytesPerSecond,
    glibcVersion: glibcVersion(),
  });
  return { ...device, ...configPart(config, device, limitBytes) };
}

function readConfig({ configPath, overrides }: ConfigChoice): Config | AgentError {
  const path = configPath ?? (existsSync(CONFIG_NAME) ? resolve(CONFIG_NAME) : null);
  try {
    return loadConfig({ path, overrides: { ...overrides } });
  } catch (error) {
    if (error instanceof AgentError) return error;
    throw error;
  }
}

function configPart(
  config: Config | AgentError,
  { availableBytes, totalBytes }: Omit<DeviceSurvey, 'limitBytes'>,
  limitBytes: number | null,
): ConfigPart {
  if (config instanceof AgentError) {
    return { budgetBytes: null, configProblem: { message: config.message, hint: config.hint } };
  }
  try {
    const { budgetBytes } = settingsOf(config, { availableBytes, totalBytes, limitBytes });
    return { budgetBytes, configProblem: null };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { budgetBytes: null, configProblem: { message: error.message, hint: error.hint } };
  }
}

/** From Node's diagnostic report. */
function glibcVersion(): string | null {
  const report: { readonly header?: { readonly glibcVersionRuntime?: unknown } } = process.report.getReport();
  const version = report.header?.glibcVersionRuntime;
  return typeof version === 'string' ? version : null;
}
