// SPDX-License-Identifier: Apache-2.0

// Package listpb has the messages of processes that share a list.
package listpb

//go:generate ./generate.sh
