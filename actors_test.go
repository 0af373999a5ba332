// SPDX-License-Identifier: Apache-2.0

// The contract of package actors: one test for each numbered guarantee of its
// package documentation, and one for each rule beside them. What they check,
// sentence by sentence, is in internal/contract/contract.go.
package protoloop_test

import (
	"testing"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/contract"
)

func TestMain(m *testing.M) { actortest.Main(m) }

func TestGuarantee01Turns(t *testing.T)           { contract.Turns(t) }
func TestGuarantee02Eager(t *testing.T)           { contract.Eager(t) }
func TestGuarantee03ExactlyOnce(t *testing.T)     { contract.ExactlyOnce(t) }
func TestGuarantee04ReadyWins(t *testing.T)       { contract.ReadyWins(t) }
func TestGuarantee05ErrorsTravel(t *testing.T)    { contract.ErrorsTravel(t) }
func TestGuarantee06Panics(t *testing.T)          { contract.Panics(t) }
func TestGuarantee07Restart(t *testing.T)         { contract.Restart(t) }
func TestGuarantee08Stop(t *testing.T)            { contract.Stop(t) }
func TestGuarantee09EndedStaysEnded(t *testing.T) { contract.EndedStaysEnded(t) }
func TestGuarantee10Clean(t *testing.T)           { contract.Clean(t) }
func TestGuarantee11BlockedTurns(t *testing.T)    { contract.BlockedTurns(t) }
func TestGuarantee12Bounds(t *testing.T)          { contract.Bounds(t) }

func TestCancelAndBudgets(t *testing.T) { contract.CancelAndBudgets(t) }
func TestExclusive(t *testing.T)        { contract.Exclusive(t) }
func TestHooks(t *testing.T)            { contract.Hooks(t) }
