//! The fixture keeps what it promises.

#![cfg(unix)]

use intacct_sync_postgres_fixture::{Server, Stop};

#[test]
fn databases_are_apart_survive_a_stop_and_go_with_the_server() {
    let Some(server) = Server::start() else {
        return;
    };
    let (one, two) = (server.database(), server.database());
    one.ask("CREATE TABLE t (n INT); INSERT INTO t VALUES (1), (NULL)");
    assert_eq!(two.ask("SELECT to_regclass('t') IS NULL"), "t");
    for how in [Stop::Immediate, Stop::Fast] {
        server.stop(how);
        server.resume();
        assert_eq!(one.ask("SELECT n, n FROM t ORDER BY n"), "1|1\n|");
    }
    let folder = server.folder().to_owned();
    drop(server);
    assert!(!folder.exists(), "{} is still there", folder.display());
}
