import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { hashRule, perceive } from '../../agent/perception.ts';
import { splitMessage } from '../../agent/words.ts';
import { rules } from '../../policies/router/rules.ts';
import { withoutAccents } from '../../scripts/experts/accents-fr/words.ts';
import { listFiles, parseManifest } from '../../scripts/experts/manifest.ts';
import { chat, openPackage, plainRun } from '../runtime/embedding-open.ts';

const FOLDER = 'experts/accents-fr';
const manifest = parseManifest(readFileSync(`${FOLDER}/expert.json`, 'utf8'));
const task = await openPackage(FOLDER);
after(() => task.release());

/** Written for this test: everyday French, nothing of what the model was trained on. */
const SENTENCES = [
  "L'élève a mangé à l'hôtel près de la forêt.",
  'Nous avons reçu votre lettre et nous vous répondrons dès que possible.',
  'La secrétaire a téléphoné au médecin, mais il était déjà parti.',
  "Il a été très déçu par l'école où il étudiait l'année dernière.",
  'Ma mère prépare un gâteau à la crème pour la fête de mon frère.',
  'Le député a déclaré que la séance était levée.',
  'Je ne sais pas où il est allé, ni à quelle heure il rentrera.',
  'Les élèves ont présenté leurs résultats devant le comité.',
  "Cette forêt a été plantée il y a près d'un siècle.",
  'Il préfère le thé ou le café, selon la saison.',
  'Le problème a été signalé à notre équipe technique.',
  "Elle a acheté des vêtements légers pour l'été.",
  'Les prévisions météo annoncent de la neige à partir de février.',
  "Ce garçon a dû quitter la pièce parce qu'il avait de la fièvre.",
  "À mon avis, la qualité du français écrit s'améliore peu à peu.",
];

test('lists its files as they are; its weights are below 1 MB', async () => {
  assert.deepEqual(manifest.files, await listFiles(FOLDER));
  assert.ok(statSync(`${FOLDER}/onnx/model.onnx.data`).size < 1_000_000);
});

test('golden answers', async () => {
  assert.ok(manifest.golden.length >= 4);
  for (const { input, output } of manifest.golden) assert.equal(await restore(input), output);
});

test('restores sentences that it never saw', async () => {
  const restored = await Promise.all(SENTENCES.map((sentence) => restore(withoutAccents(sentence))));
  const words = SENTENCES.flatMap((sentence) => sentence.split(' '));
  const found = restored.flatMap((sentence) => sentence.split(' '));
  const wrong = found.filter((word, at) => word !== words[at]);
  assert.ok(
    wrong.length <= words.length * 0.04,
    `${wrong.length} of ${words.length} words: ${wrong.join(' ')}`,
  );
});

test('capitals get the accents of small letters', async () => {
  assert.equal(await restore("L'ECOLE EST FERMEE"), "L'ÉCOLE EST FERMÉE");
});

test('leaves text that has its accents as it is', async () => {
  const text = SENTENCES.join('\n');
  assert.equal(await restore(text), text);
});

test('the second half of a text shows in the first: context is read from both sides', async () => {
  assert.match(await restore('Les villes ou nous sommes alles'), /^Les villes où /);
  assert.match(await restore('Les villes ou les villages'), /^Les villes ou /);
});

test('100,000 characters: the same sentence gets the same accents wherever windows end', async () => {
  const sentence =
    'Les eleves ont presente leurs resultats devant le comite, puis ils sont rentres chez eux. ';
  const answer = await restore(sentence.repeat(1_124));
  const answers = new Set(answer.match(/Les .*?eux\. /g));
  assert.deepEqual(
    [...answers],
    ['Les élèves ont présenté leurs résultats devant le comité, puis ils sont rentrés chez eux. '],
  );
});

test('any Unicode: only accents are added', async () => {
  const units = fc.constantFrom(..."aceiouyAE É\u0301\u0327\u0308`'.:\n😀漢ßœ".split(''));
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(units, { maxLength: 60 }).map((all) => all.join('')),
  );
  const bare = (text: string): string => text.normalize('NFD').replace(/\p{M}/gu, '');
  await fc.assert(
    fc.asyncProperty(texts, async (text) => {
      const before = text.normalize('NFC');
      const found = await restore(text);
      assert.equal(found.length, before.length);
      assert.equal(bare(found), bare(before));
    }),
    { numRuns: 100 },
  );
});

test('its rules match requests to restore accents in French, and no others', () => {
  const asked = [
    "Restore the accents: l'eleve a mange a l'hotel pres de la foret",
    "remets les accents dans ce texte : l'eleve est arrive en retard",
    'Ajoute les accents manquants : il a ete tres decu hier',
    'Rajoutez les accents, svp : la foret est belle en ete',
    'Rétablis les accents de ce paragraphe : nous avons mange',
    'Please add the missing accents: nous avons ete recus',
    'put the accents back in this: il est ne a Geneve en mai',
    'This is French without accents, fix it: le the est pret deja',
    'fix the diacritics: nous sommes alles a la plage',
  ];
  const others = [
    'restore the accents in this Spanish text: donde esta la biblioteca',
    'remets les accents dans ce texte espagnol : donde esta la biblioteca',
    'add the missing semicolon to this line of code',
    'which British accents are the hardest to understand?',
    'how do I add gold accents to a living room?',
    'learn to speak French without accents',
    'quels sont les accents régionaux en France ?',
    'what is tachycardia?',
    'in which language is this: il a ete tres decu hier',
    'restore the backup of yesterday',
  ];
  for (const message of asked) assert.ok(routed(message), message);
  for (const message of others) assert.ok(!routed(message), message);
});

test('what is restored is the text, not the request', async () => {
  const { question, focus } = splitMessage("remets les accents dans ce texte : l'eleve est arrive en retard");
  assert.equal(question, 'remets les accents dans ce texte');
  assert.equal(await restore(focus), "l'élève est arrivé en retard");
});

async function restore(text: string): Promise<string> {
  const answer = await task.run(chat(text), plainRun());
  assert.ok(answer.kind === 'text');
  return answer.text;
}

/** Whether the rules of this expert claim a message. */
function routed(message: string): boolean {
  const features = perceive(splitMessage(message).question);
  const hashed = manifest.routing.rules.map(({ any = [], all = [], not = [] }) =>
    hashRule({ any, all, not }),
  );
  const expert = { id: manifest.id, routing: { rules: hashed } };
  return rules({ features, experts: [expert] } as unknown as Parameters<typeof rules>[0]).length > 0;
}
