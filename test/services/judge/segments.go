package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// What stands on disk besides the trees: the records with their sealed parts, in the order in which they were written.
// A segment is "GWSEG01\n", CRC-32C of all that follows in the header, its length, a header in JSON, and frames:
// "GWR1", CRC-32C, length of the body, and in the body index (8), tag (16), number of parts (1), length of the envelope
// (2), length of each part (4), a zero byte, the envelope and the parts. Numbers are little-endian.
const (
	segmentMagic = "GWSEG01\n"
	frameMagic   = "GWR1"
	frameHead    = 12
	fixedBody    = 8 + 16 + 1 + 2 + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type envelope struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Parts []struct {
		Alg    string `json:"alg"`
		Commit string `json:"commit"`
		Length int64  `json:"ct_len"`
		Digest string `json:"ct_sha256"`
		Kid    string `json:"kid"`
		Name   string `json:"name"`
	} `json:"parts"`
	Refs    []int64 `json:"refs"`
	Millis  int64   `json:"t_ms"`
	Version int     `json:"v"`
}

// records walks over the frames of all segments and compares each with its tree.
type records struct {
	journal *tree
	trees   map[string]*tree
	next    map[string]int64
	count   int64
	sealed  int64
}

func readRecords(folder string, journal *tree, trees []*tree) (*records, error) {
	r := &records{journal: journal, trees: map[string]*tree{}, next: map[string]int64{}}
	for _, t := range trees {
		r.trees[filepath.Base(t.folder)] = t
	}
	items, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		if want := fmt.Sprintf("%08d.seg", i+1); item.Name() != want {
			return nil, fmt.Errorf("%s: %s stands where %s should", folder, item.Name(), want)
		}
		if err := r.readSegment(filepath.Join(folder, item.Name()), i+1); err != nil {
			return nil, fmt.Errorf("%s, record %d: %w", item.Name(), r.count, err)
		}
	}
	for tag, t := range r.trees {
		if r.next[tag] < t.size {
			return nil, fmt.Errorf("%s: %d leaves are signed, the segments have %d", t.folder, t.size, r.next[tag])
		}
	}
	if r.count < journal.size {
		return nil, fmt.Errorf("%d records are signed, the segments have %d", journal.size, r.count)
	}
	return r, nil
}

func (r *records) readSegment(path string, number int) error {
	rest, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head := r.header(number)
	if !bytes.HasPrefix(rest, head) {
		return fmt.Errorf("the header does not follow from what stands before")
	}
	for rest = rest[len(head):]; len(rest) > 0; {
		length, err := r.readFrame(rest)
		if err != nil {
			return err
		}
		rest = rest[length:]
	}
	return nil
}

// header is what a segment must begin with: everything in it follows from the segments before.
func (r *records) header(number int) []byte {
	var counts []string
	for tag, count := range r.next {
		counts = append(counts, fmt.Sprintf("%q:%d", tag, count))
	}
	sort.Strings(counts)
	text := fmt.Sprintf(`{"first":%d,"segment":%d,"trees":{%s},"v":1}`, r.count, number, strings.Join(counts, ","))
	covered := append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
	head := binary.LittleEndian.AppendUint32([]byte(segmentMagic), crc32.Checksum(covered, castagnoli))
	return append(head, covered...)
}

func (r *records) readFrame(rest []byte) (int, error) {
	if len(rest) < frameHead+fixedBody || string(rest[:4]) != frameMagic {
		return 0, fmt.Errorf("no frame begins there")
	}
	end := frameHead + int(binary.LittleEndian.Uint32(rest[8:]))
	if end > len(rest) || end < frameHead+fixedBody {
		return 0, fmt.Errorf("a frame of %d bytes where %d are left", end, len(rest))
	}
	if crc32.Checksum(rest[8:end], castagnoli) != binary.LittleEndian.Uint32(rest[4:]) {
		return 0, fmt.Errorf("the checksum does not hold")
	}
	body := rest[frameHead:end]
	if index := binary.LittleEndian.Uint64(body); index != uint64(r.count) {
		return 0, fmt.Errorf("record %d stands there", index)
	}
	tag := hex.EncodeToString(body[8:24])
	parts, length := int(body[24]), int(binary.LittleEndian.Uint16(body[25:]))
	leaf := 27 + 4*parts
	if leaf+1+length > len(body) || body[leaf] != 0 {
		return 0, fmt.Errorf("the envelope does not fit the frame")
	}
	at := leaf + 1 + length
	var sealed [][]byte
	for i := 0; i < parts; i++ {
		size := int(binary.LittleEndian.Uint32(body[27+4*i:]))
		if at+size > len(body) {
			return 0, fmt.Errorf("part %d does not fit the frame", i)
		}
		sealed = append(sealed, body[at:at+size])
		at += size
	}
	if at != len(body) {
		return 0, fmt.Errorf("the frame goes on behind its parts")
	}
	if err := r.compare(tag, body[leaf+1:leaf+1+length], sealed); err != nil {
		return 0, err
	}
	r.next[tag]++
	r.count++
	return end, nil
}

// compare holds a record against the leaf of its tree, and its sealed parts against its envelope.
func (r *records) compare(tag string, text []byte, sealed [][]byte) error {
	t, position := r.trees[tag], r.next[tag]
	leaf := tlog.RecordHash(text)
	bound, err := journalLeaf(r.count, tag, leaf)
	if err != nil {
		return err
	}
	if r.count < r.journal.size && bound != r.journal.leaves[r.count] {
		return fmt.Errorf("it is not leaf %d of the journal", r.count)
	}
	if r.count >= r.journal.size {
		if err := r.journal.grow(bound); err != nil {
			return err
		}
	}
	switch {
	case t != nil && position < t.size:
		if leaf != t.leaves[position] {
			return fmt.Errorf("it is not leaf %d of %s", position, tag)
		}
	case r.count < r.journal.size:
		return fmt.Errorf("the journal's checkpoint covers it, that of %s does not", tag)
	case t != nil:
		if err := t.grow(leaf); err != nil {
			return err
		}
	}
	var e envelope
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return err
	}
	if e.Version != 1 || e.Kind == "" || e.ID == "" || len(e.Parts) != len(sealed) {
		return fmt.Errorf("the envelope is not of its form, or names %d parts of %d", len(e.Parts), len(sealed))
	}
	for i, part := range e.Parts {
		digest := sha256.Sum256(sealed[i])
		if part.Length != int64(len(sealed[i])) || part.Digest != base64.RawURLEncoding.EncodeToString(digest[:]) {
			return fmt.Errorf("the sealed part %s is not the one the envelope names", part.Name)
		}
		r.sealed++
	}
	for _, ref := range e.Refs {
		if ref < 0 || ref >= position {
			return fmt.Errorf("it refers to leaf %d, which is not before it", ref)
		}
	}
	return nil
}
