// Judge reads the audit log of one replica with nothing but its public key, and with none of the gateway's code: the
// note, tree and tile code is that of the Go checksum database (golang.org/x/mod/sumdb). It says "good" and what it
// looked at, or "bad" and what does not hold.
//
// Usage: judge AUDIT/REPLICA audit.pub
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const height = 8 // tiles of 256 hashes

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: judge AUDIT/REPLICA audit.pub")
		os.Exit(2)
	}
	said, err := judge(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Println("bad:", err)
		os.Exit(1)
	}
	fmt.Println("good:", said)
}

func judge(replica, keyFile string) (string, error) {
	verifiers, err := readVerifiers(keyFile)
	if err != nil {
		return "", err
	}
	journal, err := openTree(filepath.Join(replica, "journal"), verifiers)
	if err != nil {
		return "", err
	}
	if err := journal.check(journal.leavesOfTiles); err != nil {
		return "", err
	}
	folders, err := filepath.Glob(filepath.Join(replica, "trees", "*"))
	if err != nil {
		return "", err
	}
	var trees []*tree
	for _, folder := range folders {
		t, err := openTree(folder, verifiers)
		if err != nil {
			return "", err
		}
		if err := t.check(t.leavesOfEntries); err != nil {
			return "", err
		}
		trees = append(trees, t)
	}
	if err := journal.interleaves(trees); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d entries in %d trees, %d proofs", journal.size, len(trees), proofs), nil
}

func readVerifiers(file string) (note.Verifiers, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []note.Verifier
	for _, line := range strings.Fields(string(text)) {
		verifier, err := note.NewVerifier(line)
		if err != nil {
			return nil, err
		}
		list = append(list, verifier)
	}
	return note.VerifierList(list...), nil
}

// interleaves checks that the journal is made of the trees' leaves, each in its order, none missing, none added. Its
// leaf is SHA-256(0x00, index, tag of the tree, leaf of the tree).
func (t *tree) interleaves(trees []*tree) error {
	next := make([]int, len(trees))
	for i, leaf := range t.leaves {
		found := false
		for k, other := range trees {
			if next[k] == len(other.leaves) {
				continue
			}
			tag, err := hex.DecodeString(filepath.Base(other.folder))
			if err != nil {
				return err
			}
			bound := append(binary.BigEndian.AppendUint64([]byte{0}, uint64(i)), tag...)
			if sha256.Sum256(append(bound, other.leaves[next[k]][:]...)) == leaf {
				next[k]++
				found = true
				break
			}
		}
		if !found {
			return fmt.Errorf("journal leaf %d is the next leaf of no tree", i)
		}
	}
	for k, other := range trees {
		if next[k] != len(other.leaves) {
			return fmt.Errorf("%s: the journal knows %d of %d leaves", other.folder, next[k], len(other.leaves))
		}
	}
	return nil
}
