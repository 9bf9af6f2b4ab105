package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// leavesOfEntries hashes every entry.
func (t *tree) leavesOfEntries() ([]tlog.Hash, error) {
	var leaves []tlog.Hash
	for n := int64(0); n<<height < t.size; n++ {
		bundle, err := t.readTile(t.tile(-1, n))
		if err != nil {
			return nil, err
		}
		entries, err := split(bundle)
		if err != nil {
			return nil, err
		}
		if len(entries) != t.tile(-1, n).W {
			return nil, fmt.Errorf("bundle %d has %d entries", n, len(entries))
		}
		for _, entry := range entries {
			leaves = append(leaves, tlog.RecordHash(entry))
		}
	}
	return leaves, nil
}

// leavesOfTiles reads the leaf hashes of a tree without entries of its own.
func (t *tree) leavesOfTiles() ([]tlog.Hash, error) {
	var leaves []tlog.Hash
	for n := int64(0); n<<height < t.size; n++ {
		tile, err := t.readTile(t.tile(0, n))
		if err != nil {
			return nil, err
		}
		if len(tile) != t.tile(0, n).W*tlog.HashSize {
			return nil, fmt.Errorf("leaf tile %d has %d bytes", n, len(tile))
		}
		for ; len(tile) > 0; tile = tile[tlog.HashSize:] {
			leaves = append(leaves, tlog.Hash(*(*[tlog.HashSize]byte)(tile)))
		}
	}
	return leaves, nil
}

// split reads a bundle: entries, each behind its length in two bytes.
func split(bundle []byte) ([][]byte, error) {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
			return nil, fmt.Errorf("a bundle ends within entry %d", len(entries))
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		entries = append(entries, bundle[2:end])
		bundle = bundle[end:]
	}
	return entries, nil
}

// tile is tile n of a level, as wide as the tree's size makes it.
func (t *tree) tile(level int, n int64) tlog.Tile {
	width := t.size - n<<height
	if width > 1<<height {
		width = 1 << height
	}
	return tlog.Tile{H: height, L: level, N: n, W: int(width)}
}

// readTile reads by the paths of tlog-tiles, which name no height. Once a tile is whole its partial ones may be gone.
func (t *tree) readTile(tile tlog.Tile) ([]byte, error) {
	data, err := t.readFile(tile)
	if !os.IsNotExist(err) || tile.W == 1<<height {
		return data, err
	}
	wide := tile
	wide.W = 1 << height
	if data, err = t.readFile(wide); err != nil {
		return nil, err
	}
	if tile.L >= 0 {
		if len(data) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", wide.Path(), len(data))
		}
		return data[:tile.W*tlog.HashSize], nil
	}
	entries, err := split(data)
	if err != nil || len(entries) < tile.W {
		return nil, fmt.Errorf("%s has %d entries (%v)", wide.Path(), len(entries), err)
	}
	end := 0
	for _, entry := range entries[:tile.W] {
		end += 2 + len(entry)
	}
	return data[:end], nil
}

func (t *tree) readFile(tile tlog.Tile) ([]byte, error) {
	path := strings.Replace(strings.Replace(tile.Path(), "tile/8/", "tile/", 1), "/data/", "/entries/", 1)
	return os.ReadFile(filepath.Join(t.folder, filepath.FromSlash(path)))
}

// tiles is a tree as tlog's client reads it.
type tiles tree

func (t *tiles) Height() int { return height }

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range wanted {
		data, err := (*tree)(t).readTile(tile)
		if err != nil {
			return nil, err
		}
		read = append(read, data)
	}
	return read, nil
}

func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}
