// The little of node-llama-cpp that the benchmark calls. The package itself (725 MB) is installed only by `make bench`,
// and the checks must not need it.

declare module 'node-llama-cpp' {
  export type Token = number

  export interface LlamaContextSequence {
    clearHistory(): Promise<void>
    evaluateWithoutGeneratingNewTokens(tokens: Token[]): Promise<void>
    evaluate(tokens: Token[], options: { temperature: number; yieldEogToken: boolean }): AsyncGenerator<Token>
  }

  export interface LlamaContext {
    getSequence(): LlamaContextSequence
    dispose(): Promise<void>
  }

  export interface LlamaModel {
    tokenize(text: string): Token[]
    createContext(options: { contextSize: number; batchSize: number; threads: number }): Promise<LlamaContext>
    dispose(): Promise<void>
  }

  export interface Llama {
    loadModel(options: { modelPath: string; gpuLayers: number }): Promise<LlamaModel>
    dispose(): Promise<void>
  }

  export function getLlama(options: {
    gpu: false
    build: 'never' | 'auto'
    maxThreads: number
    logLevel: 'error'
  }): Promise<Llama>
}
