// The pages, in the order of the navigation; each is loaded when it is first opened.

import type { Component } from 'vue'
import { createRouter, createWebHashHistory, type Router, type RouteRecordRaw } from 'vue-router'
import OverviewPage from '../pages/overview/OverviewPage.vue'
import type { IconName } from './icons.js'

export interface PageEntry {
  readonly path: string
  readonly title: string
  readonly icon: IconName
  readonly component: Component | (() => Promise<Component>)
}

export const PAGES: readonly PageEntry[] = [
  { path: '/', title: 'Overview', icon: 'gauge', component: OverviewPage },
  {
    path: '/requests',
    title: 'Requests',
    icon: 'list',
    component: () => import('../pages/requests/RequestsPage.vue'),
  },
  {
    path: '/conversations',
    title: 'Conversations',
    icon: 'threads',
    component: () => import('../pages/conversations/ConversationsPage.vue'),
  },
  { path: '/map', title: 'Cache map', icon: 'grid', component: () => import('../pages/map/MapPage.vue') },
  { path: '/what-if', title: 'What if', icon: 'curve', component: () => import('../pages/what-if/WhatIfPage.vue') },
  {
    path: '/playground',
    title: 'Playground',
    icon: 'chat',
    component: () => import('../pages/playground/PlaygroundPage.vue'),
  },
]

/** Paths lie behind `#`: the server serves one file, wherever a proxy has put it. */
export function createPageRouter(): Router {
  const routes: RouteRecordRaw[] = PAGES.map(({ path, title, component }) => ({ path, component, meta: { title } }))
  return createRouter({
    history: createWebHashHistory(),
    routes: [...routes, { path: '/:rest(.*)*', redirect: '/' }],
    // A page that keeps its state in the address stays where it is.
    scrollBehavior: (to, from) => (to.path === from.path ? false : { top: 0 }),
  })
}
