/* The library's own threads: how few there are, and that none of them runs a signal handler of the program's. */
#include <dirent.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "support.h"

#define CLIENTS 20
#define CALLS 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool hanging;
static volatile sig_atomic_t handled_on;

static void remember_thread(int number) {
    (void)number;
    handled_on = (sig_atomic_t)syscall(SYS_gettid);
}

/* Instead of the C library's: while told to hang, no name is found and nobody hears about it. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    pthread_mutex_lock(&lock);
    bool hung = hanging;
    while (hanging)
        pthread_cond_wait(&released, &lock);
    pthread_mutex_unlock(&lock);
    if (hung)
        return EAI_AGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, found);
}

static void hang(bool yes) {
    pthread_mutex_lock(&lock);
    hanging = yes;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&lock);
}

/* Calls `see` with the thread's status, unless NULL, for each thread but this one; how many they are. */
static size_t other_threads(void (*see)(const char *status)) {
    size_t count = 0;
    DIR *directory = opendir("/proc/self/task");
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[300], status[4096];
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        count++;
        if (see == NULL)
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        CHECK(file != NULL);
        status[fread(status, 1, sizeof status - 1, file)] = 0;
        fclose(file);
        see(status);
    }
    closedir(directory);
    return count;
}

/* A thread that is about to end may take a moment. */
static void comes_down_to(size_t expected) {
    double until = seconds_now() + 3;
    while (other_threads(NULL) != expected && seconds_now() < until)
        usleep(1000);
    size_t found = other_threads(NULL);
    if (found != expected) {
        fprintf(stderr, "%zu threads of the library's instead of %zu\n", found, expected);
        _Exit(1);
    }
}

static void blocks_what_is_the_programs(const char *status) {
    const int theirs[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGCHLD, SIGUSR1, SIGUSR2, SIGWINCH, SIGRTMIN};
    const int its_own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF};
    const char *line = strstr(status, "SigBlk:");
    CHECK(line != NULL);
    uint64_t mask = strtoull(line + strlen("SigBlk:"), NULL, 16);
    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        CHECK(mask >> (theirs[i] - 1) & 1);
    for (size_t i = 0; i < sizeof its_own / sizeof *its_own; i++)
        CHECK(!(mask >> (its_own[i] - 1) & 1));
}

static kat_client *client_at(const char *url, int64_t connect_timeout_ms) {
    kat_config *config = test_config(NULL);
    kat_client *client = NULL;
    kat_error *error = NULL;
    kat_config_set_service_url(config, url);
    kat_config_set_allow_http(config, true);
    kat_config_set_connect_timeout_ms(config, connect_timeout_ms);
    kat_config_set_max_retries(config, 0);
    CHECK_OK(kat_client_new(config, &client, &error));
    kat_config_free(config);
    return client;
}

static void a_name_that_was_found_leaves_no_thread_behind(void) {
    kat_client *clients[CLIENTS];
    kat_error *error = NULL;
    kat_session *session = NULL;
    char url[64];
    snprintf(url, sizeof url, "http://localhost%s", strrchr(sandbox_url(), ':'));
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = client_at(url, 20000);
        CHECK_OK(kat_client_start_widget_session(clients[i], NULL, &session, &error));
        kat_session_free(session);
    }
    comes_down_to(0);
    for (size_t i = 0; i < CLIENTS; i++)
        kat_client_free(clients[i]);
}

static void a_signal_is_handled_on_a_thread_of_the_programs(void) {
    struct sigaction action;
    sigset_t set, pending;
    memset(&action, 0, sizeof action);
    action.sa_handler = remember_thread;
    CHECK(sigaction(SIGINT, &action, NULL) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    /* Whoever does not block it would get it now. */
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(kill(getpid(), SIGINT) == 0);
    usleep(50000);
    CHECK(handled_on == 0);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGINT) == 1);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(handled_on == getpid());
    CHECK(signal(SIGINT, SIG_DFL) == remember_thread);
}

static void a_name_that_is_not_found_takes_one_thread(void) {
    kat_error *error = NULL;
    kat_session *session = NULL;
    kat_queue *queue = NULL;
    kat_completion *completion = NULL;
    kat_client *client = client_at("http://video.example", 300);
    hang(true);
    for (int i = 0; i < CALLS; i++)
        CHECK_STATUS(KAT_STATUS_TRANSPORT, kat_client_start_widget_session(client, NULL, &session, &error));
    comes_down_to(1);

    CHECK_OK(kat_queue_new(CALLS, &queue, &error));
    for (int i = 0; i < CALLS; i++)
        CHECK_OK(kat_client_start_widget_session_submit(client, queue, 0, NULL, &error));
    /* Until it runs, a new thread blocks every signal. */
    usleep(20000);
    CHECK(other_threads(blocks_what_is_the_programs) == 2);
    a_signal_is_handled_on_a_thread_of_the_programs();
    for (int i = 0; i < CALLS; i++) {
        CHECK_OK(kat_queue_next(queue, 20000, &completion, &error));
        CHECK(kat_completion_status(completion) == KAT_STATUS_TRANSPORT);
        kat_completion_free(completion);
    }
    comes_down_to(2);

    hang(false);
    comes_down_to(1);
    kat_queue_free(queue);
    kat_client_free(client);
    comes_down_to(0);
}

int main(void) {
    sandbox_reset();
    a_name_that_was_found_leaves_no_thread_behind();
    a_name_that_is_not_found_takes_one_thread();
    return 0;
}
