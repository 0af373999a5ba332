// SPDX-License-Identifier: Apache-2.0

package pages_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"github.com/protoloop/protoloop/actors"
	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/console"
	"github.com/protoloop/protoloop/consumer"
	"github.com/protoloop/protoloop/consumer/memory"
	"github.com/protoloop/protoloop/examples/incidents"
	"github.com/protoloop/protoloop/socketio"
	"github.com/protoloop/protoloop/supervisor"
)

// incident has one of docs/observe.md going on, and returns the address of its console.
func incident(t *testing.T, name string) (string, *actor.ActorSystem, *supervisor.Supervisor) {
	t.Helper()
	sys := actortest.NewSystem(t)
	url := serve(t, sys, console.Options{Actions: true})
	s, err := incidents.All[name](context.Background(), sys)
	if err != nil {
		t.Fatal(err)
	}
	endWithTest(t, s)
	return url, sys, s
}

func endWithTest(t *testing.T, s *supervisor.Supervisor) {
	t.Cleanup(func() {
		s.RequestStop()
		s.EndGrace()
		<-s.Stopped()
	})
}

// TestDeadlock: the ring is named, with its tasks, and gone when one of them is canceled.
func TestDeadlock(t *testing.T) {
	url, _, _ := incident(t, "deadlock")
	p := open(t, newBrowser(t))
	p.goTo(t, url)
	p.says(t, "1 ring of tasks that await each other", "load price → shop/stock")
	p.Until(t, `document.title.startsWith("✖ Overview · " + document.getElementById("process").textContent.split(" on ")[0])`)
	p.examine(t, "overview")

	p.Do(t, chromedp.Click(chromedp.CSS(`nav a[href="waits"]`)))
	p.says(t, "Ring: shop/", "Who waits for whom")
	p.goTo(t, url+"waits?lines=1")
	p.says(t, "Ring: shop/")
	p.examine(t, "waits")
	p.press(t, ".root", "Cancel load price")
	p.Until(t, `document.activeElement.textContent === "Yes, cancel load price"`)
	p.Do(t, chromedp.KeyEvent("\x1b")) // Escape: not after all
	p.Until(t, `!document.querySelector(".confirm")`)
	p.press(t, ".root", "Cancel load price")
	p.Do(t, chromedp.SendKeys(chromedp.CSS(".confirm .cause"), "a ring"))
	p.press(t, ".confirm", "Yes, cancel load price")
	p.Until(t, `!document.querySelector(".root.look")`)
	p.goTo(t, url)
	p.says(t, "All is well", "action: cancel-task", "by 127.0.0.1:")
}

// TestSlowHandler: the overview and the worker's page say where the turn is, and the workers can be sorted and
// searched for. The captures can be made and downloaded.
func TestSlowHandler(t *testing.T) {
	url, _, _ := incident(t, "slow-handler")
	p := open(t, newBrowser(t))
	p.goTo(t, url)
	p.says(t, "slow_handler.go:", "incidents.save", "1 turn is blocked")
	p.Do(t, chromedp.Click(chromedp.CSS(`#blocked-turn a`)))
	p.says(t, "All its other tasks wait.", "The whole stack")
	p.Until(t, `document.title.includes("shop/list · Worker")`)
	p.examine(t, "worker-blocked")
	p.goTo(t, url+"worker?id=shop/cart")
	p.says(t, "It adds up.")
	p.examine(t, "worker")

	p.goTo(t, url+"workers")
	p.says(t, "shop/list", "shop/cart")
	p.press(t, "thead", "Tasks")
	p.Until(t, `location.search === "?sort=tasks" && document.querySelector("[aria-sort]")?.textContent.startsWith("Tasks")`)
	p.examine(t, "workers")
	p.Do(t, chromedp.SendKeys(chromedp.CSS("#filter"), "list"))
	p.Until(t, `location.search.includes("q=list") && document.querySelectorAll("tbody tr").length === 1`)
	p.goTo(t, url+"workers?by=kind")
	p.says(t, "Dead letters")
	p.examine(t, "kinds")

	p.goTo(t, url+"captures")
	p.press(t, "main", "Look at all goroutines")
	p.says(t, "goroutines at")
	p.press(t, ".kinds li:nth-child(1)", "Capture")
	p.press(t, ".confirm", "Yes, capture")
	p.says(t, "it has begun", "is being made since")
	p.press(t, ".kinds li:last-child", "Capture") // one at a time
	p.press(t, ".kinds li:last-child .confirm", "Yes, capture")
	p.says(t, "Refused: another capture is under way")
	p.says(t, "go tool pprof")
	p.examine(t, "captures")
	if got := p.await(t, `fetch(document.querySelector("td a[download], th a[download]").href).then(async (r) => r.status + " " + ((await r.arrayBuffer()).byteLength > 100))`); got != "200 true" {
		t.Errorf("the capture: %s", got)
	}
}

// TestSupervision: restarts and the budget for them are seen; a child is restarted, stopped and started again, and
// a child that somebody else has restarted meanwhile is not.
func TestSupervision(t *testing.T) {
	url, sys, s := incident(t, "restart-storm")
	p := open(t, newBrowser(t))
	p.goTo(t, url+"supervision")
	p.says(t, "of 40 restarts within 1 min", "restarts in", "nil pointer")
	p.examine(t, "supervision")
	p.goTo(t, url+"supervision?at=shop#shop/web")
	p.Until(t, `document.querySelector("[data-here]")?.id === "shop/web" && document.title.includes("shop · Supervision")`)

	const web = `[id="shop/web"]`
	ref := func() supervisor.Ref {
		for _, k := range s.Info().Children {
			if k.Name == "web" {
				return k.Ref
			}
		}
		return supervisor.Ref{}
	}
	first := ref()
	p.press(t, web, "Restart")
	p.press(t, web+" .confirm", "Yes, restart")
	p.says(t, "it has restarted")
	second := ref()
	if second.Start == first.Start {
		t.Error("it is the same start still")
	}
	p.press(t, web+" .outcome", "×")
	p.next(t) // which shows the second start
	p.press(t, web, "Stop")
	p.press(t, web+" .confirm", "No")
	p.press(t, web, "Restart")
	p.Until(t, `document.querySelector(".confirm")`)
	if err := supervisor.RestartChild(context.Background(), sys, ref()); err != nil { // somebody else is faster
		t.Fatal(err)
	}
	p.press(t, web+" .confirm", "Yes, restart")
	p.says(t, "Refused: supervisor: ")
	p.Picture(t, "refused")
	p.press(t, web+" .outcome", "×")
	p.next(t)

	p.press(t, web, "Stop")
	p.press(t, web+" .confirm", "Yes, stop")
	p.Until(t, `document.querySelector('[id="shop/web"] td').textContent === "gone"`)
	p.next(t)
	p.press(t, web, "Start")
	p.press(t, web+" .confirm", "Yes, start")
	p.Until(t, `document.querySelector('[id="shop/web"] td').textContent === "up"`)
}

// TestStop: a stop is seen while it goes on, with what it waits for, and its grace can be ended.
func TestStop(t *testing.T) {
	url, _, s := stuckStop(t)
	p := open(t, newBrowser(t))
	p.goTo(t, url+"stop")
	p.says(t, "A stop goes on.", "shop/printer", "grace left", "It still has 30 pieces of work", "Then: orders")
	p.examine(t, "stop")
	p.press(t, ".draining", "End grace")
	p.press(t, ".confirm", "Yes, end grace")
	<-s.Stopped()
	p.says(t, "Nothing is being stopped")
}

// TestStopOfTree: the grace of a whole supervisor can be ended, too.
func TestStopOfTree(t *testing.T) {
	url, _, s := stuckStop(t)
	p := open(t, newBrowser(t))
	p.goTo(t, url+"supervision")
	p.says(t, "stopping", "grace ")
	p.press(t, "tr.sup", "End grace")
	p.says(t, "End the grace of shop now?")
	p.press(t, "tr.sup .confirm", "No")
	p.press(t, "tr.sup", "End grace")
	p.press(t, "tr.sup .confirm", "Yes, end grace")
	<-s.Stopped()
	p.says(t, "There is no supervisor.")
	if log := p.await(t, `fetch("api/log").then((r) => r.text())`); !strings.Contains(log, `"what":"end-grace"`) { // the overview has the 30 that were abandoned since
		t.Errorf("no record of the action: %s", log)
	}
}

// stuckStop has a stop going on that does not end.
func stuckStop(t *testing.T) (string, *actor.ActorSystem, *supervisor.Supervisor) {
	t.Helper()
	t.Cleanup(func() {
		for range 30 { // so that nothing is left behind
			incidents.Paper <- struct{}{}
		}
	})
	return incident(t, "stuck-stop")
}

// TestQueues: what is in hand, and dead letters with why.
func TestQueues(t *testing.T) {
	sys := actortest.NewSystem(t)
	url := serve(t, sys, console.Options{})
	q := memory.New(memory.Options{})
	c, err := consumer.New(q.Open, func(t *actors.Task, m consumer.Message) error {
		if string(m.Body) == "bad" {
			return consumer.Poison(errors.New("no such account"))
		}
		return t.Sleep(time.Hour)
	}, consumer.Options{Name: "payments", Concurrency: 4, Prefetch: 8})
	if err != nil {
		t.Fatal(err)
	}
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "bank", Children: []supervisor.Child{{Name: "payments", Props: c.Props()}}})
	if err != nil {
		t.Fatal(err)
	}
	endWithTest(t, s)
	p := open(t, newBrowser(t))
	p.goTo(t, url+"queues")
	q.SendBody("bad", "a", "b", "c", "d", "e", "bad")
	p.says(t, "no such account", "payments: message", "running", "It adds up.")
	p.examine(t, "queues")
	p.goTo(t, url+"queues#payments")
	p.Until(t, `document.title.includes("payments · Queues")`)
	// Actions are off: nothing is offered, and nothing done.
	p.goTo(t, url+"supervision")
	p.says(t, "actions are off", "payments")
	if n := p.Eval(t, `String(document.querySelectorAll("main button").length)`); n != "0" {
		t.Errorf("%s buttons, though actions are off", n)
	}
	if got := p.await(t, `fetch("api/act/stop-child", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}).then((r) => String(r.status))`); got != "403" {
		t.Errorf("an action answers with %s", got)
	}
}

// TestManyTasks: 100,000 suspended tasks are shown in 200 rows. How long a page takes is in the log, beside what it takes
// without them: it is a figure of the machine, which may be busy with something else.
func TestManyTasks(t *testing.T) {
	sys := actortest.NewSystem(t)
	url := serve(t, sys, console.Options{Actions: true})
	never := new(actors.Promise[int])
	const n = 100_000
	pid := actortest.Spawn(t, sys.Root, "crowd", func(w *actors.Worker) error {
		actors.On(w, func(t *actors.Task, _ int) error {
			for i := range n {
				t.Go(func(t *actors.Task) error { return t.Await(never.Future()) }, actors.Name(fmt.Sprintf("wait %d", i%7)))
			}
			return nil
		})
		return nil
	}, actors.Options{Kind: "crowd"})
	for i := range 300 { // and many workers
		actortest.Spawn(t, sys.Root, fmt.Sprintf("one-%d", i), func(*actors.Worker) error { return nil }, actors.Options{Kind: "one"})
	}
	t.Cleanup(func() { never.Resolve(1) })
	p := open(t, newBrowser(t))
	alone := map[string]time.Duration{}
	for _, page := range []string{"waits", "worker?id=crowd", "workers", ""} {
		p.goTo(t, url+page)
		alone[page] = p.paintedAfter(t)
	}
	sys.Root.Send(pid, 1)
	for page, text := range map[string]string{"waits": "wait 3", "worker?id=crowd": "more are not shown", "workers": "more are not shown", "": "100,00"} {
		p.goTo(t, url+page)
		p.says(t, text)
		t.Logf("/%s is painted after %v; without the tasks after %v", page, p.paintedAfter(t).Round(time.Millisecond), alone[page].Round(time.Millisecond))
		name, _, _ := strings.Cut(page, "?")
		p.rows(t, name)
		p.Picture(t, "many-"+cmp.Or(name, "overview"))
	}
	p.goTo(t, url+"worker?id=crowd")
	p.press(t, ".pager", "The next 200")
	p.Until(t, `location.search.includes("after=")`)
	p.says(t, "The oldest")
}

// TestTaskLeak: tasks that wait for what does not come are in a group, with the line of the code, and become more.
func TestTaskLeak(t *testing.T) {
	url, _, _ := incident(t, "task-leak")
	p := open(t, newBrowser(t))
	p.goTo(t, url+"waits")
	p.Until(t, `document.querySelector("label input")?.click() || true`)
	p.Until(t, `location.search === "?lines=1"`)
	p.says(t, "task_leak.go:")
	const leaking = `Number([...document.querySelectorAll("tbody tr")].find((r) => r.textContent.includes("incidents.Order") && r.textContent.includes("promise"))?.querySelectorAll(".num")[0].textContent.replaceAll(",", ""))`
	p.Until(t, leaking+" > 0")
	p.Until(t, "(window.first ??= "+leaking+", "+leaking+" >= first + 20)")
	p.examine(t, "task-leak")
	p.goTo(t, url)
	p.Until(t, `[...document.querySelectorAll(".spark")].find((s) => s.querySelector("span").textContent === "Tasks")?.querySelector("path.line")`)
	p.says(t, "All is well") // for a minute, which TestLints does not have to wait for
}

// TestStale: a page says since when nothing has come, and goes on when the process is back.
func TestStale(t *testing.T) {
	sys := actortest.NewSystem(t)
	c, err := console.New(sys, console.Options{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	begin := func(c *console.Console) *actor.PID {
		pid, err := actors.Spawn(context.Background(), sys.Root, "console", c.Setup, actors.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
	pid := begin(c)
	url := c.URL()
	p := open(t, newBrowser(t))
	p.goTo(t, url)
	p.says(t, "All is well")
	p.press(t, "header", "Pause")
	p.says(t, "Paused at")
	p.press(t, "header", "Go on")
	p.Until(t, `document.getElementById("stale").hidden`)
	stop := func(pid *actor.PID) {
		if _, err := actors.Stop(context.Background(), sys.Root, pid, actors.Forever); err != nil {
			t.Error(err)
		}
	}
	stop(pid)
	p.says(t, "Stale since", "cannot be reached")
	p.examine(t, "stale")
	again, err := console.New(sys, console.Options{Addr: strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/")})
	if err != nil {
		t.Fatal(err)
	}
	pid = begin(again)
	p.Until(t, `document.getElementById("stale").hidden`)
	stop(pid)

	// A worker that ends while its page is open.
	pid = begin(c)
	defer stop(pid)
	one := actortest.Spawn(t, sys.Root, "one", func(*actors.Worker) error { return nil }, actors.Options{})
	p.goTo(t, c.URL()+"worker?id=one")
	stop(one)
	p.says(t, "It has ended")
	p.goTo(t, c.URL()+"worker?id=none")
	p.says(t, "there is no worker")
}

// TestSockets: clients with their rooms, and one of them is disconnected.
func TestSockets(t *testing.T) {
	sys := actortest.NewSystem(t)
	url := serve(t, sys, console.Options{Actions: true})
	io, err := socketio.NewServer(sys, socketio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	io.OnConnect(func(t *actors.Task, s *socketio.Socket) error { return s.Join("lobby") })
	s, err := supervisor.Start(context.Background(), sys, supervisor.Spec{Name: "chat", Children: []supervisor.Child{{Name: "live", Props: io.Props()}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(io)
	t.Cleanup(server.Close)
	endWithTest(t, s) // before the server, which waits for its clients

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 3 {
		c, _, err := websocket.Dial(ctx, server.URL+"/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.CloseNow() }) // the server may have closed it
		if err := c.Write(ctx, websocket.MessageText, []byte("40")); err != nil {
			t.Fatal(err)
		}
	}
	p := open(t, newBrowser(t))
	p.goTo(t, url+"sockets")
	p.says(t, "websocket", "lobby", "Nobody is behind.")
	p.Until(t, `document.querySelectorAll("button.act").length === 3`)
	p.examine(t, "sockets")
	p.press(t, "tbody tr:last-child", "Disconnect")
	p.press(t, ".confirm", "Yes, disconnect")
	p.Until(t, `document.querySelectorAll("button.act").length === 2`)
}

// TestHostileNames: whatever somebody has sent as a name or an error is text in each page, and the pages can bear it.
func TestHostileNames(t *testing.T) {
	const evil = "<img src=x onerror=alert(1)>\x1b[2J\u202e\n\x00&\"'`{{7*7}}${1}</script><script>problems.push('run')</script>"
	sys := actortest.NewSystem(t)
	url := serve(t, sys, console.Options{Actions: true})
	handler := func(w *actors.Worker) error {
		actors.On(w, func(*actors.Task, string) error { panic(evil) })
		return nil
	}
	names := []string{evil, strings.Repeat(evil, 1000), "a?b#c%2f&d=e", "__proto__", "constructor", "javascript:alert(1)", "../../x"}
	spec := supervisor.Spec{Name: "top", MaxRestarts: 100, Within: time.Minute}
	for _, name := range names {
		spec.Children = append(spec.Children, supervisor.Child{Name: strings.ReplaceAll(name, "/", "|"), Props: actors.Props(handler, actors.EventLoop(actors.Options{Kind: evil}))})
	}
	s, err := supervisor.Start(context.Background(), sys, spec)
	if err != nil {
		t.Fatal(err)
	}
	endWithTest(t, s)
	for i, c := range spec.Children {
		pid := s.Child(c.Name)
		sys.Root.Send(pid, evil)
		actors.Submit(sys.Root, pid, func(t *actors.Task) (int, error) { return 0, t.Sleep(time.Hour) }, actors.Name(names[i]))
	}
	p := open(t, newBrowser(t))
	for _, page := range []string{"", "waits", "waits?lines=1", "workers", "workers?by=kind", "supervision", "supervision?at=top", "queues", "sockets", "captures", "stop"} {
		p.goTo(t, url+page)
		p.next(t) // it is painted anew, over what was there
		if got := p.Eval(t, `String(document.querySelectorAll("main img, main script, main iframe").length)`); got != "0" {
			t.Errorf("%q has %s elements that somebody else has made", page, got)
		}
		if got := p.Eval(t, `String(document.body.innerText.match(/[^\P{C}\n\t]/u)?.[0].codePointAt(0).toString(16))`); got != "undefined" {
			t.Errorf("%q shows U+%s, which may turn the text around it", page, got)
		}
		p.examine(t, fmt.Sprintf("hostile %q", page))
	}
	// Each worker has a page of its own, by the link that the table has.
	p.goTo(t, url+"workers")
	n := p.Eval(t, `window.links = [...document.querySelectorAll("tbody a")].map((a) => a.href); sessionStorage.links = JSON.stringify(links); String(links.length)`)
	if n != fmt.Sprint(len(names)+2) { // the supervisor and the console, too
		t.Errorf("%s workers have a link", n)
	}
	for i := range len(names) + 2 {
		p.goTo(t, p.Eval(t, fmt.Sprintf("JSON.parse(sessionStorage.links)[%d]", i)))
		p.says(t, "It adds up.")
	}
	if got := p.await(t, `fetch("api/workers").then((r) => r.text())`); len(got) > 100_000 {
		t.Errorf("the table of workers has %d bytes", len(got))
	}
}
