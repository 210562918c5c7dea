// Nodes of HashiCorp's memberlist with its LAN defaults, for the convergence bench.
//
// Orders come on standard input, one a line, and are answered with "ok" or "failed", the order and
// its node:
//
//	start NUMBER ADDRESS    a node of its own at this address
//	join NUMBER ADDRESS     it joins the one at this address
//	leave NUMBER            it says goodbye
//	abort NUMBER            it ends without a word
//
// What nodes tell is a line each: "saw NANOSECONDS OBSERVER SUBJECT up|failed", the time since 1970.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	port = 7946
	// A goodbye is over as soon as it was told.
	leaveMax = 30 * time.Second
)

var output sync.Mutex

func say(format string, values ...interface{}) {
	output.Lock()
	defer output.Unlock()
	fmt.Printf(format+"\n", values...)
}

// events hands on what a node tells.
type events struct{ observer string }

func (e events) saw(node *memberlist.Node, sight string) {
	now := time.Now().UnixNano()
	say("saw %d %s %s %s", now, e.observer, node.Name, sight)
}

func (e events) NotifyJoin(node *memberlist.Node) { e.saw(node, "up") }

// It makes no difference here between who left and who died.
func (e events) NotifyLeave(node *memberlist.Node) { e.saw(node, "failed") }

func (e events) NotifyUpdate(*memberlist.Node) {}

func start(number, address string) (*memberlist.Memberlist, error) {
	config := memberlist.DefaultLANConfig()
	config.Name = number
	config.BindAddr, config.BindPort = address, port
	config.AdvertiseAddr, config.AdvertisePort = address, port
	config.Events = events{number}
	config.LogOutput = io.Discard
	return memberlist.Create(config)
}

func obey(node *memberlist.Memberlist, order, address string) error {
	switch order {
	case "join":
		_, err := node.Join([]string{fmt.Sprintf("%s:%d", address, port)})
		return err
	case "leave":
		return node.Leave(leaveMax)
	case "abort":
		return node.Shutdown()
	}
	return fmt.Errorf("unknown order")
}

func answer(order, number string, err error) {
	if err != nil {
		say("failed %s %s %s", order, number, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	say("ok %s %s", order, number)
}

func main() {
	nodes := map[string]*memberlist.Memberlist{}
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		words := append(strings.Fields(input.Text()), "", "", "")
		order, number, address := words[0], words[1], words[2]
		if order == "start" {
			node, err := start(number, address)
			if err == nil {
				nodes[number] = node
			}
			answer(order, number, err)
		} else if node, known := nodes[number]; known {
			go func() { answer(order, number, obey(node, order, address)) }()
		} else {
			answer(order, number, fmt.Errorf("no such node"))
		}
	}
}
