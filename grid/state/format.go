// SPDX-License-Identifier: Apache-2.0

package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Format is how values of one type are stored. The zero value is protobuf for messages of that,
// and JSON for all other types.
type Format struct {
	// Encode and Decode take a pointer to the value. nil: as above.
	Encode func(v any) ([]byte, error)
	Decode func(data []byte, v any) error
	// Migrations lead from each version of the stored form to the next one: the first from that
	// before there were any, and so on. Each value is stored with the number of them that there
	// were, and when it is loaded the later ones change it, one after the other. So never take one
	// away. A value with more than there are is an error: a newer program has stored it.
	Migrations []func(data []byte) ([]byte, error)
}

func (f Format) encodeValue(v any) ([]byte, error) {
	var data []byte
	var err error
	switch m, is := v.(proto.Message); {
	case f.Encode != nil:
		data, err = f.Encode(v)
	case is:
		data, err = proto.Marshal(m)
	default:
		data, err = json.Marshal(v)
	}
	if err != nil {
		return nil, fmt.Errorf("state: a %T was not encoded: %w", v, err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(f.Migrations))), data...), nil
}

func (f Format) decodeValue(stored []byte, v any) error {
	version, n := binary.Uvarint(stored)
	if n <= 0 {
		return errDamaged
	}
	data, known := stored[n:], uint64(len(f.Migrations))
	if version > known {
		return fmt.Errorf("state: a %T is stored in version %d, and this program knows %d: a newer one has stored it", v, version, known)
	}
	var err error
	for i, migrate := range f.Migrations[version:] {
		if data, err = migrate(data); err != nil {
			return fmt.Errorf("state: migration %d of a %T: %w", version+uint64(i), v, err)
		}
	}
	switch m, is := v.(proto.Message); {
	case f.Decode != nil:
		err = f.Decode(data, v)
	case is:
		err = proto.Unmarshal(data, m)
	default:
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("state: a %T was not decoded: %w", v, err)
	}
	return nil
}

// findMistake is what is wrong with f, or nil.
func (f Format) findMistake() error {
	if (f.Encode == nil) != (f.Decode == nil) {
		return errors.New("has one of Encode and Decode, and needs both or none")
	}
	return nil
}
