// SPDX-License-Identifier: Apache-2.0

package service

import "slices"

// contents is the items of a list, as its entries have made them.
type contents struct {
	items map[string]Item
	order []Item // by Seq; a removed one may stay for a while, see gone
	bytes int    // of the items
}

func newContents() contents { return contents{items: map[string]Item{}} }

// apply changes them and reports whether that was a change.
func (c *contents) apply(e entry) bool {
	was, here := c.items[e.Key]
	if here != e.Removed {
		return false
	}
	if !e.Removed {
		c.bytes += e.bytes()
		c.items[e.Key] = e.Item
		c.order = append(c.order, e.Item) // the log is read in order
		return true
	}
	c.bytes -= was.bytes()
	delete(c.items, e.Key)
	if len(c.order) > 2*len(c.items)+pageSize {
		c.order = slices.DeleteFunc(c.order, c.gone)
	}
	return true
}

// gone reports whether an item of order was removed, or replaced by a later
// one of the same key.
func (c *contents) gone(i Item) bool { return c.items[i.Key].Seq != i.Seq }

// page is the newest items before a place in the log; 0 is its end.
func (c *contents) page(before uint64) Page {
	p := Page{Items: []Item{}, Total: len(c.items), Before: before}
	end := len(c.order)
	if before > 0 {
		end, _ = slices.BinarySearchFunc(c.order, before, func(i Item, seq uint64) int {
			if i.Seq < seq {
				return -1
			}
			return 1
		})
	}
	for i := end - 1; i >= 0; i-- {
		if c.gone(c.order[i]) {
			continue
		}
		if len(p.Items) == pageSize {
			p.Older = true
			break
		}
		p.Items = append(p.Items, c.order[i])
	}
	return p
}

// Page is a part of the list, the newest items first.
type Page struct {
	Items []Item `json:"items"`
	// Older: there are items before the last one of these, to be asked for by
	// its Seq.
	Older bool `json:"older"`
	// Total is how many items the list has.
	Total int `json:"total"`
	// Before is the Seq that the items are before; 0: they are the newest.
	Before uint64 `json:"before,omitempty"`
}

const pageSize = 500
