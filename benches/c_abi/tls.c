/*
 * What jobs cost TLS: a client and a server in one thread, each with SSL_MODE_ASYNC, where
 * every call of libssl's is a job, though none of them pauses. Prints as bench.c does.
 *
 *   tls [rounds]
 */
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static SSL_CTX *client_ctx, *server_ctx;

static void make_contexts(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    X509_set_pubkey(cert, key);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    check(X509_sign(cert, key, EVP_sha256()) > 0, "X509_sign");
    client_ctx = SSL_CTX_new(TLS_client_method());
    server_ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(client_ctx, SSL_MODE_ASYNC);
    SSL_CTX_set_mode(server_ctx, SSL_MODE_ASYNC);
    SSL_CTX_set_session_cache_mode(server_ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(server_ctx, 0);
    check(SSL_CTX_use_certificate(server_ctx, cert) && SSL_CTX_use_PrivateKey(server_ctx, key),
          "certificate");
    X509_free(cert);
    EVP_PKEY_free(key);
}

struct pair {
    SSL *client, *server;
};

static struct pair connect_pair(void)
{
    struct pair pair = {SSL_new(client_ctx), SSL_new(server_ctx)};
    BIO *one, *other;
    int i;

    check(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16), "BIO_new_bio_pair");
    SSL_set_bio(pair.client, one, one);
    SSL_set_bio(pair.server, other, other);
    SSL_set_connect_state(pair.client);
    SSL_set_accept_state(pair.server);
    for (i = 0; i < 10 && !(SSL_is_init_finished(pair.client) && SSL_is_init_finished(pair.server));
         i++) {
        SSL_do_handshake(pair.client);
        SSL_do_handshake(pair.server);
    }
    check(i < 10, "handshake");
    return pair;
}

static void disconnect(struct pair pair)
{
    SSL_free(pair.client);
    SSL_free(pair.server);
}

static char buffer[1 << 14];

/* There and back again. */
static void ping_pong(struct pair pair, int size)
{
    check(SSL_write(pair.client, buffer, size) == size, "client writes");
    check(SSL_read(pair.server, buffer, size) == size, "server reads");
    check(SSL_write(pair.server, buffer, size) == size, "server writes");
    check(SSL_read(pair.client, buffer, size) == size, "client reads");
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv)
{
    static const int sizes[] = {16, 1024, 16384};
    int rounds = argc > 1 ? atoi(argv[1]) : 30, trips = 1000, round, i, size;
    struct pair pair;
    double begin;

    make_contexts();
    pair = connect_pair();
    for (round = -1; round < rounds; round++) { /* the first one warms up */
        for (size = 0; size < 3; size++) {
            begin = now();
            for (i = 0; i < trips; i++)
                ping_pong(pair, sizes[size]);
            if (round >= 0)
                printf("TLS, %d bytes and back\t%.0f\n", sizes[size], (now() - begin) / trips);
        }
        begin = now();
        for (i = 0; i < 10; i++)
            disconnect(connect_pair());
        if (round >= 0)
            printf("TLS handshake, P-256\t%.0f\n", (now() - begin) / 10);
    }
    disconnect(pair);
    return EXIT_SUCCESS;
}
