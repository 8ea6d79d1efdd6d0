// lookup NAME PORT: as lookup.c, with Go's own resolver, which asks for A and AAAA at once from two sockets, with EDNS.
package main

import (
	"fmt"
	"net"
	"os"
	"sort"
	"time"
)

func answers(address, port string) bool {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(address, port), 2*time.Second)
	if err != nil {
		return false
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := connection.Write([]byte("x")); err != nil {
		return false
	}
	_, err = connection.Read(make([]byte, 1))
	return err == nil
}

func main() {
	addresses, err := net.LookupHost(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sort.Strings(addresses)
	for _, address := range addresses {
		if answers(address, os.Args[2]) {
			fmt.Println(address)
		}
	}
}
