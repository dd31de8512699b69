// SPDX-License-Identifier: Apache-2.0
//  `import ThalwegSavepoint` is all that a tool needs.

@_exported import ThalwegBase
@_exported import ThalwegData
@_exported import ThalwegStorage
