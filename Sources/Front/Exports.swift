// SPDX-License-Identifier: Apache-2.0
//  `import Thalweg` is all that a job needs.

@_exported import ThalwegBase
@_exported import ThalwegConnectors
@_exported import ThalwegControl
@_exported import ThalwegData
@_exported import ThalwegFormats
@_exported import ThalwegGraph
@_exported import ThalwegOperator
@_exported import ThalwegOperators
@_exported import ThalwegRuntime
@_exported import ThalwegState
@_exported import ThalwegStorage
