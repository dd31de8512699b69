// SPDX-License-Identifier: Apache-2.0
//  `import ThalwegSavepointStreams` gives the snapshots too.

@_exported import ThalwegSavepoint
