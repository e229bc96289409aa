// The `count` first of many, without sorting all of them.

/** The first `count` items by `before`, in order. O(n log count): a heap whose root is the last of those kept. */
export function selectFirst<T>(items: Iterable<T>, count: number, before: (a: T, b: T) => boolean): T[] {
  if (count <= 0) return []
  const heap: T[] = []
  for (const item of items) {
    if (heap.length < count) {
      heap.push(item)
      siftUp(heap, before)
    } else if (before(item, heap[0] as T)) {
      heap[0] = item
      siftDown(heap, before)
    }
  }
  return heap.sort((a, b) => (before(a, b) ? -1 : before(b, a) ? 1 : 0))
}

function siftUp<T>(heap: T[], before: (a: T, b: T) => boolean): void {
  let child = heap.length - 1
  while (child > 0) {
    const parent = (child - 1) >> 1
    if (!before(heap[parent] as T, heap[child] as T)) return
    swap(heap, parent, child)
    child = parent
  }
}

function siftDown<T>(heap: T[], before: (a: T, b: T) => boolean): void {
  let parent = 0
  for (;;) {
    let last = parent
    for (const child of [2 * parent + 1, 2 * parent + 2]) {
      if (child < heap.length && before(heap[last] as T, heap[child] as T)) last = child
    }
    if (last === parent) return
    swap(heap, parent, last)
    parent = last
  }
}

function swap<T>(heap: T[], a: number, b: number): void {
  const held = heap[a] as T
  heap[a] = heap[b] as T
  heap[b] = held
}
