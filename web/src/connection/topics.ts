// The topics that the page has asked for: each as long as anyone on the page looks at it.

import type { Topic } from 'attentionstore/protocol'

export class Topics {
  private readonly lookers = new Map<Topic, number>()

  /** @param tell Is given the whole list whenever it changes. */
  constructor(private readonly tell: (topics: readonly Topic[]) => void) {}

  get list(): readonly Topic[] {
    return [...this.lookers.keys()]
  }

  /** One more looks at it; the returned function, called once or more, ends that. */
  open(topic: Topic): () => void {
    const before = this.lookers.get(topic) ?? 0
    this.lookers.set(topic, before + 1)
    if (before === 0) this.tell(this.list)
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      this.close(topic)
    }
  }

  private close(topic: Topic): void {
    const left = (this.lookers.get(topic) ?? 0) - 1
    if (left > 0) {
      this.lookers.set(topic, left)
      return
    }
    this.lookers.delete(topic)
    this.tell(this.list)
  }
}
