import type { InjectionKey, Ref } from 'vue'

/** The theme that is shown: charts take their colours from it. */
export const SHOWN_THEME: InjectionKey<Readonly<Ref<'light' | 'dark'>>> = Symbol('shown theme')
