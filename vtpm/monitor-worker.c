/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker dies, and another one takes its place. */
#include "vtpm/monitor.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libtpms/tpm_error.h>

#include "base/log.h"
#include "vtpm/supervisor.h"
#include "vtpm/upgrade.h"

/* Crashes (not kills from outside) within so long a time count together. */
#define CRASH_WINDOW_S 60
#define CRASHES_MAX 8
/* Deaths in a row at the same command before that is given up: of crashes, and
 * of kills, which may have to do with something else. */
#define SAME_CRASHES_MAX 3
#define SAME_KILLS_MAX 20
/* Of these, after how many the guest hears of it, or nothing that it was told
 * of is run again. */
#define SAME_CRASHES_HEARD 2
#define SAME_KILLS_HEARD 10
/* Deaths in a row before a worker is even up, from crashes and from kills:
 * something is wrong here. After a few there are pauses. */
#define STILLBORN_CRASHES_MAX 3
#define STILLBORN_KILLS_MAX 50
#define STILLBORN_PAUSE_MS 20

static void
finish_with_failure(struct monitor *m, const char *why)
{
	log_error("ending: %s", why);
	channel_close(&m->channel);
	m->exit_status = 1;
	m->ended = true;
}

static bool
is_stillborn(struct monitor *m, int status)
{
	struct timespec pause = { .tv_nsec = STILLBORN_PAUSE_MS * 1000000 };

	if (!m->resuming)
		return false;
	if (++m->stillborn > STILLBORN_CRASHES_MAX) {
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ||
		    m->stillborn > STILLBORN_KILLS_MAX)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* True when the worker has died of the same input, or crashed, too often. */
static bool
is_hopeless(struct monitor *m, const struct journal *j, enum journal_end end,
    int status)
{
	uint64_t now = monitor_now(), begun = atomic_load(&j->begun);
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	bool at_command = begun > atomic_load(&j->run) ||
	    end == JOURNAL_RERUN;
	/* Run again it has the same number, sent again the next. */
	bool same = at_command && (begun == m->deaths.begun ||
	    (begun == m->deaths.begun + 1 && memcmp(j->command,
	    m->deaths.command, sizeof(j->command)) == 0));

	m->deaths.crashed = !killed || m->broke_rules;
	m->broke_rules = false;
	/* Who is killed while coming up has not died of any command. */
	if (m->deaths.crashed || !m->resuming) {
		m->deaths.same = same ? m->deaths.same + 1 : at_command;
		m->deaths.begun = begun;
		memcpy(m->deaths.command, j->command, sizeof(j->command));
	}
	if (now - m->deaths.window_start > CRASH_WINDOW_S * 1000) {
		m->deaths.window_start = now;
		m->deaths.crashes = 0;
	}
	m->deaths.crashes += m->deaths.crashed;
	return m->deaths.same >= (killed ? SAME_KILLS_MAX : SAME_CRASHES_MAX) ||
	    m->deaths.crashes >= CRASHES_MAX;
}

static void
tell_death(const struct monitor *m, int status)
{
	if (WIFSIGNALED(status))
		log_event(LOG_LEVEL_ERROR, "worker.died", "pid=%d signal=%d%s",
		    (int)m->worker, WTERMSIG(status),
		    WTERMSIG(status) == SIGSYS ?
		    " reason=\"a system call outside its allow list\"" : "");
	else
		log_event(LOG_LEVEL_ERROR, "worker.died", "pid=%d exit=%d",
		    (int)m->worker, WEXITSTATUS(status));
}

static void
tell_lost(unsigned int result)
{
	log_event(LOG_LEVEL_ERROR, "worker.lost-state", "result=0x%x "
	    "consequence=\"the guest was told of a change that the worker "
	    "could not keep; the TPM is in failure mode until the guest is "
	    "reset\"", result);
}

/*
 * What the command under way has stored is taken back, for the guest was not
 * told of it: then it has not happened, and can be run again, or by the guest
 * itself after TPM_RC_RETRY, without happening twice. False where it has stored
 * and that stays. A worker can bring this about that has told the guest: then
 * it has been taken over, and could as well store an older state.
 */
static bool
take_back(struct monitor *m, const struct journal *j)
{
	struct err err = { 0 };

	if (m->stored.at != atomic_load(&j->begun))
		return true;
	if (m->stored.again || storage_undo(m->storage, &err) < 0) {
		log_warning("a command is answered TPM_RC_RETRY that has "
		    "happened: %s", m->stored.again ? "it has stored twice" :
		    err.text);
		return false;
	}
	m->stored.at = 0;
	log_event(LOG_LEVEL_WARNING, "worker.undone", "consequence=\"what a "
	    "command had stored that was not answered is taken back; it "
	    "happens once or not at all\"");
	return true;
}

/* What the new worker shall do, from what the old one left. */
static enum resume
judge(struct monitor *m, const struct journal *j, int status)
{
	enum journal_end end = journal_judge(j);
	bool undone = (end != JOURNAL_RERUN && end != JOURNAL_RETRY) ||
	    !journal_is_untold(j) || take_back(m, j);

	if (is_hopeless(m, j, end, status)) {
		log_event(LOG_LEVEL_ERROR, "worker.gave-up", "alarm=1 "
		    "crashes=%u same_command=%u consequence=\"the TPM is in "
		    "failure mode until the guest is reset\"",
		    m->deaths.crashes, m->deaths.same);
		return end == JOURNAL_IDLE || end == JOURNAL_TOLD ||
		    end == JOURNAL_LOST ? RESUME_FAILED : RESUME_FAILED_ANSWER;
	}
	switch (end) {
	case JOURNAL_IDLE:
		return RESUME_QUIETLY;
	case JOURNAL_ANSWER:
		return RESUME_ANSWER;
	case JOURNAL_RERUN:
		/* What stays on the disk must not happen twice unasked. */
		return !undone || m->deaths.same >= (m->deaths.crashed ?
		    SAME_CRASHES_HEARD : SAME_KILLS_HEARD) ?
		    RESUME_RETRY : RESUME_RERUN;
	case JOURNAL_RETRY:
		return RESUME_RETRY;
	case JOURNAL_TOLD:
		/* The state before it is not on the disk any more if it has
		 * stored. And what workers die of is not tried for ever. */
		if (m->stored.at != atomic_load(&j->begun) &&
		    m->stillborn < (m->deaths.crashed ?
		    STILLBORN_CRASHES_MAX : SAME_KILLS_HEARD))
			return RESUME_REPEAT;
		break;
	case JOURNAL_LOST:
	case JOURNAL_LOST_PENDING:
		break;
	}
	tell_lost(0);
	return end == JOURNAL_LOST_PENDING ? RESUME_FAILED_ANSWER :
	    RESUME_FAILED;
}

/* Who waited for the answer may have gone; a new connection must not get it. */
static enum resume
for_whom(const struct monitor *m, enum resume resume)
{
	if (m->data_fd >= 0 && !(m->interrupted.active &&
	    m->interrupted.order.type == ORDER_DATA_FD))
		return resume;
	/* This sends nothing; without it the state would be an older one. */
	if (resume == RESUME_REPEAT)
		return resume;
	return resume == RESUME_FAILED || resume == RESUME_FAILED_ANSWER ?
	    RESUME_FAILED : RESUME_QUIETLY;
}

/* The last step: the order that the old worker did not answer. */
static void
give_again(struct monitor *m)
{
	struct message order = m->interrupted.order;
	struct message failed = { .type = order.type };

	m->resuming = false;
	log_event(LOG_LEVEL_WARNING, "worker.replaced", "pid=%d after_ms=%llu",
	    (int)m->worker,
	    (unsigned long long)(monitor_now() - m->deaths.last));
	if (!m->interrupted.active)
		return;
	m->interrupted.active = false;
	if (m->interrupted.deaths >= SAME_CRASHES_MAX) {
		log_event(LOG_LEVEL_ERROR, "worker.gave-up", "alarm=1 order=%u "
		    "consequence=\"it is answered as failed\"", order.type);
		m->interrupted.deaths = 0;
		failed.result = TPM_FAIL;
	} else if (order.type == ORDER_DATA_FD && m->data_fd < 0) {
		/* Whoever gave the descriptor has gone meanwhile. */
		failed.result = TPM_IOERROR;
	} else {
		monitor_order(m, m->interrupted.client, &order,
		    order.type == ORDER_DATA_FD ? m->data_fd : -1,
		    m->interrupted.done);
		return;
	}
	m->interrupted.done(m, m->interrupted.client, &failed);
}

static void
data_given(struct monitor *m, struct client *c, const struct message *reply)
{
	(void)c;
	(void)reply;
	give_again(m);
}

static void
resumed(struct monitor *m, struct client *c, const struct message *reply)
{
	struct message order = { .type = ORDER_DATA_FD,
		.arg = m->data_number };

	(void)c;
	m->stillborn = 0;
	if (reply->arg == RESUME_REPEAT) {
		if (reply->result != 0)
			tell_lost((unsigned int)reply->result);
		else
			log_event(LOG_LEVEL_WARNING, "worker.repeated",
			    "consequence=\"the last command was run again to "
			    "the same answer; nothing is lost\"");
	} else if (reply->result != 0)
		log_event(LOG_LEVEL_ERROR, "worker.lost-state", "result=0x%x "
		    "consequence=\"libtpms does not take the captured state; "
		    "the TPM is in failure mode until the guest is reset\"",
		    (unsigned int)reply->result);
	if (m->data_fd >= 0 && !(m->interrupted.active &&
	    m->interrupted.order.type == ORDER_DATA_FD))
		monitor_order(m, NULL, &order, m->data_fd, data_given);
	else
		give_again(m);
}

/* What was under way comes again when the new worker is up. */
static void
keep_order(struct monitor *m)
{
	if (!m->order.active || m->resuming)
		return;
	m->interrupted.active = true;
	m->interrupted.deaths++;
	m->interrupted.order = m->order.message;
	/* What went along lies where the dead one could write, and is older than
	 * what it has stored: the new one asks. */
	if (m->order.message.size > 0 &&
	    (m->order.message.type == ORDER_INIT ||
	    m->order.message.type == ORDER_PREPARE))
		m->interrupted.order.size = m->interrupted.order.arg = 0;
	m->interrupted.client = m->order.client;
	m->interrupted.done = m->order.done;
}

void
monitor_worker_gone(struct monitor *m)
{
	struct journal *j = &m->channel.memory.shared->journal;
	struct message order = { .type = ORDER_RESUME };
	struct err err = { 0 };
	int status = 0;

	if (m->ended)
		return;
	if (m->upgrade.state == UPGRADE_TAKING_OVER) {
		err_set(&err, ERR_TPM, "its worker died of the state");
		upgrade_refuse(m->upgrade.sock, &err);
		m->exit_status = 1;
		m->ended = true;
		return;
	}
	m->deaths.last = monitor_now();
	channel_close(&m->channel);
	if (supervisor_wait(m->supervisor, &status, &err) < 0) {
		finish_with_failure(m, err.text);
		return;
	}
	if (m->ending && m->order.active && m->order.message.type ==
	    ORDER_SHUTDOWN) {
		m->ended = true;
		return;
	}
	tell_death(m, status);
	if (m->state_set) {
		finish_with_failure(m, "the worker died with state that was "
		    "brought in and not yet taken; bring it in again");
		return;
	}
	if (is_stillborn(m, status)) {
		finish_with_failure(m, "no worker comes up");
		return;
	}
	keep_order(m);
	m->order.active = false;
	order.arg = for_whom(m, judge(m, j, status));
	m->resuming = true;
	if (supervisor_spawn(m->supervisor, &m->channel, &m->worker, &err) < 0) {
		finish_with_failure(m, err.text);
		return;
	}
	monitor_order(m, NULL, &order, -1, resumed);
}
