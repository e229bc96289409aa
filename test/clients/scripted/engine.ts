// The native engine, told token by token what to sample: each answer is held to a grammar that has the script's tokens in
// it and no others. All the rest is as in a real server: template, tokenizer, forward pass, reader of outputs.

import type {
  ChatText,
  CompiledConstraint,
  ConstraintSource,
  EncodedPrompt,
  Engine,
  EngineEvent,
  EngineText,
  SlotTierName,
  SequenceSpec,
  StepPlan,
  Transfer,
} from '../../../ts/engine/types.js'
import { ApiError } from '../../../ts/protocol/errors.js'
import type { Writer } from './output.js'
import { answerToText, writtenTo } from './scripts.js'

export interface Script {
  readonly write: Writer
  /** Ids of the tokens that ordinary text never becomes, by name. */
  readonly special: ReadonlyMap<string, number>
}

/** Answers by the tokens of their prompts, as the text side made them. */
type Answers = WeakMap<Uint32Array, CompiledConstraint>

export class ScriptedEngine implements Engine {
  readonly text: EngineText
  readonly #engine: Engine
  readonly #answers: Answers = new WeakMap()

  constructor(engine: Engine, script: Script) {
    this.#engine = engine
    this.text = scriptedText(engine.text, script, this.#answers)
  }

  get info() {
    return this.#engine.info
  }

  get onEvents(): (events: readonly EngineEvent[]) => void {
    return this.#engine.onEvents
  }

  set onEvents(listener: (events: readonly EngineEvent[]) => void) {
    this.#engine.onEvents = listener
  }

  /** The request's own constraint gives way to the script, which keeps to it. */
  addSequence(spec: SequenceSpec): void {
    const answer = this.#answers.get(spec.tokens)
    this.#engine.addSequence(answer === undefined ? spec : { ...spec, constraint: answer })
  }

  dropSequence(sequence: number): void {
    this.#engine.dropSequence(sequence)
  }

  submit(plan: StepPlan): void {
    this.#engine.submit(plan)
  }

  transfer(transfers: readonly Transfer[]): void {
    this.#engine.transfer(transfers)
  }

  grow(tier: SlotTierName, slots: number): void {
    this.#engine.grow(tier, slots)
  }

  stats() {
    return this.#engine.stats()
  }

  close(): Promise<void> {
    return this.#engine.close()
  }
}

function scriptedText(text: EngineText, script: Script, answers: Answers): EngineText {
  return {
    async encodeChat(chat: ChatText, date: string, mostTokens?: number): Promise<EncodedPrompt> {
      if (chat.messages.at(-1)?.content.includes('Be busy.')) throw new ApiError('queue_full', 'The queue is full.')
      const prompt = await text.encodeChat(chat, date, mostTokens)
      answers.set(prompt.tokens, await compiled(text, script, writtenTo(chat, script.write)))
      return prompt
    },
    encodePrompt: (...given) => text.encodePrompt(...given),
    /** A raw prompt comes this way, and much else that is no prompt. */
    async tokenize(prompt, ...given) {
      const tokens = await text.tokenize(prompt, ...given)
      const answer = answerToText(prompt)
      if (answer !== undefined) answers.set(tokens, await compiled(text, script, answer))
      return tokens
    },
    decode: (tokens) => text.decode(tokens),
    compile: (source: ConstraintSource) => text.compile(source),
    tokenBytes: (token) => text.tokenBytes(token),
    root: (...given) => text.root(...given),
    keys: (...given) => text.keys(...given),
    blockKey: (...given) => text.blockKey(...given),
  }
}

/** A grammar of the one answer: its tokens by id. The end comes after them, for nothing else may. */
async function compiled(text: EngineText, script: Script, answer: string): Promise<CompiledConstraint> {
  const ids = await tokensOf(text, script.special, answer)
  return text.compile({ kind: 'grammar', grammar: `root ::= ${ids.map((id) => `<[${id}]>`).join(' ')}` })
}

async function tokensOf(text: EngineText, special: Script['special'], answer: string): Promise<number[]> {
  const names = [...special.keys()].filter((name) => answer.includes(name)).toSorted((a, b) => b.length - a.length)
  const escaped = names.map((name) => name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const pieces = names.length === 0 ? [answer] : answer.split(new RegExp(`(${escaped.join('|')})`))
  const tokens = pieces.map(async (piece) => {
    const id = special.get(piece)
    return id === undefined ? [...(await text.tokenize(piece, false))] : [id]
  })
  return (await Promise.all(tokens)).flat()
}
