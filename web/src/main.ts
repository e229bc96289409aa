import { createApp } from 'vue'
import App from './App.vue'
import { createPageRouter } from './shell/pages.js'
import './styles/tokens.css'
import './styles/base.css'
import './styles/controls.css'
import './styles/layout.css'
import './styles/map-colours.css'

createApp(App).use(createPageRouter()).mount('#app')
