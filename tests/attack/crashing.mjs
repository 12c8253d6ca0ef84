// What the crash tests share: a Countersign that is killed in many ways, actions whose effects the
// make-believe provider counts, and what must hold after every crash whatever happened before it.
import assert from 'node:assert/strict';
import { authorization, childrenOf, expect, sendEmail, sleep, startServer, transfer, unique, until } from '../e2e/harness.mjs';

export async function startCrasher(options = {}) {
  const s = await startServer(options);
  const people = {};
  const world = {
    s,
    people,
    proposed: [], // every acknowledged proposal, with how to count its effects
    votes: [],    // every acknowledged vote

    async signIn() {
      for (const name of ['alice', 'bob', 'admin']) people[name] = await s.login(name);
    },

    // A mail: the provider cannot tell twice from once.
    async mail(more = {}) {
      const body = { ...sendEmail(), ...more };
      return world.keep(await s.agent.propose(body), () => s.sandbox.effect(`email:${body.body.to}`));
    },

    // A transfer: the provider takes the authorization for a key.
    async money() {
      await s.sandbox.clock(s.offset); // a transfer's time counts from when the provider made its authorization
      const first = expect(await s.agent.propose({ ...authorization(), idempotency_key: unique('auth') }), 202).body;
      await world.vote(people.alice, first);
      const { result } = await s.settled(first.id, 'succeeded');
      const { id } = result.body.authorization;
      return world.keep(await s.agent.propose(transfer(id)), () => s.sandbox.effect(`transfer:${id}`));
    },

    keep(answer, effects, agent = s.agent) {
      const a = { ...expect(answer, 202).body, effects, agent };
      world.proposed.push(a);
      return a;
    },

    async vote(person, a, decision = 'approve', more = {}) {
      const answer = await person.vote(a, decision, more);
      if (answer.status === 200) world.votes.push({ action: a.id, person: person.id, decision });
      return answer;
    },

    look: async (a) => expect(await (a.agent ?? s.agent).get(`/v1/actions/${a.id}`), 200).body,

    // Until it stands still, time being moved on so that what is tried again later is tried now.
    async still(a, wanted) {
      let now;
      await until(async () => {
        now = await world.look(a);
        if (wanted ? now.status === wanted : now.ended_at !== null || now.status === 'unknown') return true;
        s.clock(s.offset + 1000);
        await sleep(50);
        return false;
      }, () => `${a.id} to be ${wanted ?? 'settled'}; it is ${JSON.stringify(now)}`);
      return now;
    },

    // Section 4 of the design: succeeded means one effect, failed and the like none, and never are there two.
    async agrees(a) {
      const { status } = await world.look(a);
      const effects = await a.effects();
      assert.ok(effects <= 1, `${a.id} is ${status} and had ${effects} effects`);
      if (status === 'succeeded') assert.equal(effects, 1, `${a.id} ${a.operation} succeeded`);
      else if (status !== 'unknown' && status !== 'sending') assert.equal(effects, 0, `${a.id} is ${status}`);
    },

    // The parent is stopped first, so that it starts nobody between two kills.
    async killAll() {
      const { parent } = s.pids;
      process.kill(parent, 'SIGSTOP');
      const pids = [parent, ...childrenOf(parent)];
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      await s.gone(pids);
    },

    // Serves with a crash point until somebody has died of it, then kills the rest and starts anew.
    async crashAt(point, act) {
      await s.restart({ COUNTERSIGN_CRASH: point });
      const running = s.parent;
      await act().catch((e) => { if (!/ECONN|socket hang up|waited in vain/.test(String(e))) throw e; });
      await until(() => /"event":"parent\.child_ended"[^\n]*"signal":9/.test(running.text) || running.over, () => `somebody to die at ${point}; log: ${running.text.slice(-1500)}`);
      assert.match(running.text, /"signal":9/, `nobody came by ${point}`);
      if (!running.over) await world.killAll();
      await s.serve({});
    },

    // One that was killed has been started again, and all is ready.
    async killed(part) {
      const old = s.kill(part);
      await until(() => s.pids[part] && s.pids[part] !== old, `another ${part}`);
      await s.ready();
    },

    // Nothing that was acknowledged is lost, nothing happened twice, and the log is whole.
    async whole() {
      for (const a of world.proposed) await world.agrees(a);
      for (const vote of world.votes) {
        const votes = await s.sql(`SELECT decision FROM vote WHERE action_id = '${vote.action}' AND person_id = '${vote.person}'`);
        assert.ok(votes.some((v) => v.decision === vote.decision), `a vote on ${vote.action} is lost`);
      }
      const verified = await s.cli(['audit', 'verify']);
      assert.equal(verified.code, 0, verified.stdout + verified.stderr);
      for (const a of world.proposed) {
        const kinds = (await s.sql(`SELECT type FROM audit_event WHERE action_id = '${a.id}' ORDER BY seq`)).map((e) => e.type);
        assert.equal(kinds.filter((k) => k === 'action.proposed').length, 1, `${a.id}: ${kinds}`);
        if (await a.effects()) assert.ok(kinds.includes('action.sending'), `${a.id} had an effect that nobody announced: ${kinds}`);
      }
    },
  };
  await world.signIn();
  return world;
}
