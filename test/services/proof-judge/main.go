// Proof-judge checks proofs of single records (c2sp.org/tlog-proof@v1) with nothing but the public key of the log, and
// with none of the gateway's code: the note and tree code is that of the Go checksum database (golang.org/x/mod/sumdb).
// It says "good" and what is proven, or "bad" and what does not hold.
//
// Usage: proof-judge audit.pub FILE...
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const header = "c2sp.org/tlog-proof@v1\n"

// evidence is what stands in the extra line of a proof of ours.
type evidence struct {
	Entry    string            `json:"entry"`
	Format   string            `json:"format"`
	Openings map[string][]byte `json:"openings"`
}

type envelope struct {
	Kind  string `json:"kind"`
	Parts []struct {
		Name   string `json:"name"`
		Commit string `json:"commit"`
	} `json:"parts"`
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: proof-judge audit.pub FILE...")
		os.Exit(2)
	}
	verifiers, err := readVerifiers(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	bad := 0
	for _, file := range os.Args[2:] {
		said, err := judgeFile(file, verifiers)
		if err != nil {
			fmt.Println("bad:", err)
			bad++
			continue
		}
		fmt.Println("good:", said)
	}
	if bad > 0 {
		os.Exit(1)
	}
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

// judgeFile judges each of the proofs that stand one behind the other.
func judgeFile(file string, verifiers note.Verifiers) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(string(text), header) {
		return "", errors.New("no tlog-proof")
	}
	var said []string
	for _, one := range strings.Split("\n"+string(text), "\n"+header)[1:] {
		if !strings.HasSuffix(one, "\n") {
			one += "\n"
		}
		proven, err := judge(one, verifiers)
		if err != nil {
			return "", err
		}
		said = append(said, proven)
	}
	return strings.Join(said, "; "), nil
}

func judge(proof string, verifiers note.Verifiers) (string, error) {
	head, checkpoint, found := strings.Cut(proof, "\n\n")
	if !found {
		return "", errors.New("no checkpoint")
	}
	lines := strings.Split(head, "\n")
	extra, found := strings.CutPrefix(lines[0], "extra ")
	if !found || len(lines) < 2 {
		return "", errors.New("the record is not in it")
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(extra)
	if err != nil {
		return "", err
	}
	var shown evidence
	if err := json.Unmarshal(decoded, &shown); err != nil {
		return "", err
	}
	number, found := strings.CutPrefix(lines[1], "index ")
	index, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil {
		return "", errors.New("no index")
	}
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return "", err
		}
		path = append(path, hash)
	}
	signed, err := note.Open([]byte(checkpoint), verifiers)
	if err != nil {
		return "", err
	}
	origin, size, root, err := readCheckpoint(signed.Text)
	if err != nil {
		return "", err
	}
	if err := tlog.CheckRecord(path, size, root, index, tlog.RecordHash([]byte(shown.Entry))); err != nil {
		return "", err
	}
	kind, err := judgeOpenings(shown)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is leaf %d of %s, %d opened", kind, index, origin, len(shown.Openings)), nil
}

func readCheckpoint(text string) (string, int64, tlog.Hash, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return "", 0, tlog.Hash{}, errors.New("a checkpoint has three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return "", 0, tlog.Hash{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return lines[0], size, root, err
}

// judgeOpenings compares what is disclosed with what the record committed to: HMAC-SHA-256(r, plaintext), r being the
// first 32 bytes.
func judgeOpenings(shown evidence) (string, error) {
	var record envelope
	if err := json.Unmarshal([]byte(shown.Entry), &record); err != nil {
		return "", err
	}
	commits := map[string]string{}
	for _, part := range record.Parts {
		commits[part.Name] = part.Commit
	}
	for name, opening := range shown.Openings {
		if len(opening) < 32 {
			return "", fmt.Errorf("%s: too short", name)
		}
		mac := hmac.New(sha256.New, opening[:32])
		mac.Write(opening[32:])
		if base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) != commits[name] {
			return "", fmt.Errorf("%s is not what was recorded", name)
		}
	}
	return record.Kind, nil
}
