// SPDX-License-Identifier: Apache-2.0

package actors

func traceGroups(all map[groupKey]*tally) {}
