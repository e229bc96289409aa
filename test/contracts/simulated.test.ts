import test from 'ava'
import { SimulatedEngine } from '../../ts/engine/simulated/engine.js'
import { VirtualClock } from '../../ts/engine/simulated/virtual-clock.js'
import { engineContract } from './engine.js'

engineContract(test, async ({ slots }) => new SimulatedEngine({ clock: new VirtualClock(), slots }))
