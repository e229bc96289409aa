// A server for tests: each request waits until the test answers it.

import type { HttpClient, RequestOptions } from '../http/client.js'

export interface Asked {
  readonly path: string
  readonly options: RequestOptions
  answer(body: unknown): Promise<void>
  refuse(failure: Error): Promise<void>
}

/** Lets everything go on that waits for nothing but promises. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class FakeHttp implements HttpClient {
  /** Not answered yet, in their order. */
  readonly asked: Asked[] = []
  #onAsked: () => void = () => {}

  json<T>(path: string, options: RequestOptions = {}): Promise<T> {
    return this.#ask(path, options) as Promise<T>
  }

  open(path: string, options: RequestOptions = {}): Promise<Response> {
    return this.#ask(path, options) as Promise<Response>
  }

  /** The oldest request without an answer, as soon as there is one. */
  async next(): Promise<Asked> {
    for (;;) {
      const asked = this.asked.shift()
      if (asked) return asked
      await new Promise<void>((resolve) => {
        this.#onAsked = resolve
      })
    }
  }

  #ask(path: string, options: RequestOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.asked.push({
        path,
        options,
        answer: (body) => {
          resolve(body)
          return settled()
        },
        refuse: (failure) => {
          reject(failure)
          return settled()
        },
      })
      this.#onAsked()
    })
  }
}
