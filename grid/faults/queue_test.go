// SPDX-License-Identifier: Apache-2.0

//go:build linux

package faults

import (
	"errors"

	"github.com/protoloop/protoloop/grid"
	"github.com/protoloop/protoloop/grid/hub/hubclient"
)

const parts = 16

func (s settings) partKinds(c *hubclient.Client) ([]grid.Kind, error) { return nil, errors.New("todo") }
func (c *client) fillQueue(count int) error                           { return errors.New("todo") }
