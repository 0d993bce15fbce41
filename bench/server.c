/* The server of bench/http_load.py: one thread, epoll, HTTP/1.1 keep-alive, one fixed JSON answer a request.
 *
 *     server [unique]
 *
 * With an argument every answer has a header that no other one has, as a request id would be. It counts the ends of
 * request heads ("\r\n\r\n", also when they are cut over two reads), so it serves requests without a body only. It prints
 * its port, and on SIGUSR1 how many requests it has answered, so that a client's count can be held against the wire. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 65536
static const char body[] = "{\"id\":1,\"name\":\"something as long as an answer of a small service usually is\",\"ok\":true}";
static unsigned char matched[MOST]; /* per descriptor: how many bytes of "\r\n\r\n" were seen last */
static volatile sig_atomic_t asked;

static void ask(int number) {
    (void)number;
    asked = 1;
}

static int heads(int fd, const char *data, ssize_t size) {
    static const char mark[] = "\r\n\r\n";
    int found = 0, state = matched[fd];
    for (ssize_t i = 0; i < size; i++) {
        if (data[i] == mark[state])
            state++;
        else
            state = data[i] == '\r';
        if (state == 4) {
            found++;
            state = 0;
        }
    }
    matched[fd] = (unsigned char)state;
    return found;
}

static int answer_of(char *answer, size_t most, unsigned long number, int unique) {
    char id[64] = "";
    if (unique)
        snprintf(id, sizeof id, "X-Request-Id: %020lu\r\n", number);
    return snprintf(answer, most, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s", id,
                    sizeof body - 1, body);
}

int main(int count_of_arguments, char **arguments) {
    (void)arguments;
    static char buffer[65536], answer[512];
    int unique = count_of_arguments > 1, size = answer_of(answer, sizeof answer, 0, 0), one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    struct sigaction act = {.sa_handler = ask};
    sigaction(SIGUSR1, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024) ||
        getsockname(listener, (struct sockaddr *)&at, &length))
        return 1;
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    unsigned long served = 0;
    for (;;) {
        int count = epoll_wait(poll, ready, 256, 50); /* a signal that comes just before it waits 50 ms at most */
        if (asked) {
            asked = 0;
            printf("%lu\n", served);
            fflush(stdout);
        }
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                int made = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (made >= MOST)
                    close(made);
                if (made < 0 || made >= MOST)
                    continue;
                setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                matched[made] = 0;
                event.data.fd = made;
                epoll_ctl(poll, EPOLL_CTL_ADD, made, &event);
                continue;
            }
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0) {
                if (got == 0 || (errno != EAGAIN && errno != EINTR))
                    close(fd);
                continue;
            }
            for (int n = heads(fd, buffer, got); n > 0; n--) {
                if (unique)
                    size = answer_of(answer, sizeof answer, served, unique);
                if (send(fd, answer, (size_t)size, MSG_NOSIGNAL) != size)
                    break; /* a client that does not read: it is not served further */
                served++;
            }
        }
    }
}
