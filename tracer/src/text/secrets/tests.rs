use super::*;

/// As it is typed, with `␀` between arguments.
fn hidden(line: &str) -> String {
    let line = line.replace('␀', "\0");
    let told = Secrets::default().hide(line.as_bytes()).unwrap_or(line.into_bytes());
    String::from_utf8(told).expect("text").replace('\0', "␀")
}

#[test]
fn every_default_is_a_pattern() {
    assert_eq!(ANYWHERE.len(), 13);
}

/// Names whose values are secret.
const NAMES: [&str; 22] = [
    "password",
    "passwd",
    "db-password",
    "DB_PASSWORD",
    "PGPASSWORD",
    "MYSQL_PWD",
    "token",
    "auth-token",
    "GITHUB_TOKEN",
    "api-key",
    "apikey",
    "API_KEY",
    "secret",
    "client_secret",
    "AWS_SECRET_ACCESS_KEY",
    "SECRET_KEY_BASE",
    "private-key",
    "passphrase",
    "pass",
    "http-pass",
    "requirepass",
    "credentials",
];
/// How such a value is given.
const FORMS: [&str; 10] = [
    "app␀--NAME=SECRET",
    "app␀--NAME␀SECRET␀-v",
    "app␀-NAME␀SECRET",
    "sh␀-c␀NAME=SECRET exec app",
    "env␀NAME=SECRET␀app",
    "sh␀-c␀app --NAME SECRET --more",
    "sh␀-c␀app --NAME='SECRET' x",
    "app␀-Dmy.NAME=SECRET",
    "curl␀-d␀{\"NAME\": \"SECRET\"}␀http://x",
    "curl␀http://x/?a=b&NAME=SECRET&c=d",
];
/// Other ways.
const OTHERS: [&str; 70] = [
    "gpg␀--batch␀-c␀--passphrase␀SECRET␀f",
    "sh␀-c␀PASSWORD=SECRET;x",
    "ssh␀h␀bash -c 'mysql -pSECRET db'",
    "sh␀-c␀bash -c \"app --password SECRET x\"",
    "bash␀-c␀it's; mysql -pSECRET db",
    "sh␀-c␀x=`mysql -pSECRET`",
    "curl␀https://h/networks␀-u␀me:SECRET",
    "mysql␀-u␀azure␀-pSECRET",
    "mysql␀-h␀net-db1␀-pSECRET",
    "wget␀--header=Authorization: Bearer SECRET",
    "curl␀-HX-Auth-Token: SECRET",
    "docker␀login␀-u␀me␀-pSECRET",
    "buildah␀login␀-p␀SECRET",
    "app␀-c␀--token=SECRET",
    "curl␀-H␀Authorization: Bearer SECRET",
    "curl␀-H␀Cookie: session=SECRET",
    "curl␀-H␀X-Api-Key: SECRET␀x",
    "sh␀-c␀curl -H \"Authorization: Basic SECRET\" x",
    "curl␀-u␀me:SECRET␀x",
    "curl␀--user␀me:SECRET␀x",
    "curl␀--user=me:SECRET␀x",
    "git␀clone␀https://me:SECRET@host/x",
    "psql␀postgres://me:SECRET@host/x",
    "mysql␀-ume␀-pSECRET␀db",
    "/usr/bin/mysqldump␀-u␀me␀-pSECRET",
    "sh␀-c␀mysql -u me -pSECRET db",
    "sshpass␀-p␀SECRET␀ssh␀host",
    "sshpass␀-pSECRET␀ssh␀host",
    "redis-cli␀-a␀SECRET␀ping",
    "ldapsearch␀-D␀me␀-w␀SECRET",
    "docker␀login␀-u␀me␀-p␀SECRET",
    "smbclient␀-U␀me%SECRET",
    "openssl␀enc␀-pass␀pass:SECRET",
    "mongosh␀-u␀me␀-p␀SECRET",
    "az␀https://x/y?sv=1&sig=SECRET&z",
    "app␀--config={\"token\":\"SECRET\"}",
    "app␀PASSWORD: SECRET",
    // The flags of a port and the like are no password's, and hide none.
    "mysqldump␀-h␀db␀-P␀3306␀-ubackup␀-pSECRET",
    "mysqldump␀-P3306␀-ubackup␀-pSECRET␀db",
    "sshpass␀-P␀prompt␀-p␀SECRET␀ssh␀host",
    "ldapsearch␀-x␀-W␀-b␀dc=x␀-w␀SECRET",
    // Nor does what came before.
    "curl␀https://h/x?a=1&b=2␀-u␀me:SECRET",
    "curl␀-H␀Accept: text/html;q=0.9␀-u␀me:SECRET",
    "mysql␀-e␀delete from t; commit␀-pSECRET",
    "curl␀-u␀me:a␀-U␀px:SECRET",
    "curl␀-u␀me:a␀--proxy-user␀px:SECRET",
    "curl␀-su␀me:SECRET",
    "curl␀-fsSLu␀me:SECRET␀x",
    "lftp␀-u␀me,SECRET␀host",
    "sudo␀-u␀me␀mysql␀-pSECRET",
    // The whole of a value, whatever is in it.
    "app␀--password=Tr0ub&SECRET",
    "app␀--password=a, (b);c'SECRET",
    "env␀PGPASSWORD=a b SECRET␀app",
    "java␀-Dx.password=a&SECRET",
    "app␀-j␀{\"password\": \"ab\\\"SECRET\"}",
    "sh␀-c␀app --password \"a SECRET\" x",
    "sh␀-c␀PASSWORD='a b SECRET' app",
    "aws␀configure␀set␀aws_secret_access_key␀SECRET",
    "env␀REDISCLI_AUTH=SECRET␀redis-cli",
    "app␀--db=Server=x;Uid=sa;Pwd=SECRET;",
    "curl␀--oauth2-bearer␀SECRET",
    "curl␀-b␀session=SECRET",
    "mysqlcheck␀-pSECRET",
    "az␀login␀-u␀me␀-p␀SECRET",
    "zip␀-P␀SECRET␀x.zip␀x",
    "7z␀a␀-pSECRET␀x.7z",
    "ipmitool␀-U␀me␀-P␀SECRET",
    "curl␀https://hooks.slack.com/services/T/B/SECRET",
    "curl␀https://api.telegram.org/bot1:SECRET/x",
    "sh␀-c␀cd /x; mysql -h db -pSECRET < a | tee b",
];
/// Told by their looks.
const LOOKS: [&str; 5] = [
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "glpat-0123456789abcdefghij",
    "xoxb-0123456789-abcdefghij",
    "sk_live_0123456789abcdefghijklmn",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF-123",
];

/// More than 200, in every way to write them that is known of.
#[test]
fn no_secret_is_left() {
    let gone = |line: &str, secret: &str| {
        let told = hidden(line);
        assert!(!told.contains(secret) && told.contains("***"), "{line} -> {told}");
    };
    for (at, name) in NAMES.iter().enumerate() {
        for form in FORMS {
            // Of the form first: there are names with that word.
            let line = form.replace("SECRET", &format!("s3cr3t{at}Zq")).replace("NAME", name);
            gone(&line, "s3cr3t");
        }
    }
    OTHERS.iter().for_each(|line| gone(&line.replace("SECRET", "s3cr3tZq/+="), "s3cr3t"));
    for secret in LOOKS {
        assert_eq!(hidden(&format!("app␀{secret}␀-v")), "app␀***␀-v");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for line in [
        "cp␀new.db␀live.db",
        "java␀-cp␀/srv/app.jar␀com.example.Main",
        "rsync␀-a␀--inplace␀/a␀/b",
        "app␀--password-file=/run/secrets/x",
        "app␀--token-path␀/run/token",
        "llm␀--max-tokens=512",
        "sh␀-c␀cd \"$PWD\"; PWD=/tmp x",
        "grep␀-p␀mysql",
        "truncate␀-s␀0␀/var/log/passwords.log",
        "ssh␀-p␀2222␀host",
        "mkdir␀-p␀/srv/x",
        "tar␀-C␀/srv␀--exclude=secrets␀-xf␀a.tar",
        "http://host:8080/x",
        "sh␀-c␀: ${TOKEN:-x}; cp new live",
        "sh␀-c␀rsync secret-host:/db /live && cp new live",
        "cp␀new␀/srv/token:1/live",
        "pg_dump␀--no-password␀mydb",
        "docker␀login␀--password-stdin␀registry",
        "app␀bypass=1",
        "mysql␀-p␀-e␀select 1",
        "mysql␀-uroot␀-p␀live",
        "docker␀run␀-p␀80:80␀nginx",
        "aws␀secretsmanager␀get-secret-value␀--secret-id-file␀foo",
        "aws␀s3␀cp␀secret␀live",
        "find␀/var/lib/mysql␀-print␀-delete",
        "rsync␀/srv/zips␀-P␀/live",
        "ssh␀-o␀PasswordAuthentication=no␀h",
        "zipinfo␀-P␀x",
        "curl␀-o␀new.db␀http://host:8080/a/b.db",
        "postgres: writer process",
        "ansible-playbook␀--ask-become-pass␀site.yml",
        "psql␀--no-password␀--host␀db1",
        "psql␀-P␀pager=off",
        "llm␀--tokenizer␀bpe␀--token-ttl␀3600",
        "app␀--use-token␀--verbose",
        "aws␀--access-key-id=AKIA1234",
        "",
    ] {
        assert_eq!(hidden(line), line);
    }
}

#[test]
fn the_rest_of_a_line_stays() {
    assert_eq!(
        hidden("app␀--db-password␀x1␀--db=live␀--token=y2␀-v"),
        "app␀--db-password␀***␀--db=live␀--token=***␀-v"
    );
    assert_eq!(
        hidden("sh␀-c␀mysql -pabc db < x; cp -p a b"),
        "sh␀-c␀mysql -p*** db < x; cp -p a b"
    );
}

#[test]
fn hidden_twice_is_hidden_once() {
    let once = hidden("curl␀-u␀me:x␀-H␀Authorization: Bearer y␀https://me:z@h/?token=q");
    assert_eq!(hidden(&once), once);
}

#[test]
fn what_is_asked_for_is_hidden_and_nothing_if_so_asked() {
    let own = compiled(r"--customer (?P<secret>\d+)").expect("a pattern");
    let all = compiled("acme-[a-z]+").expect("a pattern");
    let named = compiled(r"(?P<name>user-name) (?P<secret>\w+)").expect("a pattern");
    let told = Secrets::new(false, true, vec![named]).hide(b"app user-name me");
    assert_eq!(told.as_deref(), Some(&b"app user-name ***"[..]));
    let secrets = Secrets::new(false, true, vec![own, all]);
    let told = secrets.hide(b"sh\0-c\0x --customer 42 acme-corp --password=p");
    assert_eq!(told.as_deref(), Some(&b"sh\0-c\0x --customer *** *** --password=p"[..]));
    assert_eq!(secrets.hide(b"app\0--password=p"), None);
    let alone = Secrets::new(true, false, Vec::new());
    assert_eq!(alone.hide(b"app\0--password=p").as_deref(), Some(&b"app"[..]));
    assert_eq!(alone.hide(b"app"), None);
}

#[test]
fn a_pattern_must_find_something() {
    for pattern in ["", "a*", "(", "x\\0"] {
        assert!(asked(pattern).is_err(), "{pattern:?}");
    }
    assert!(asked(r"--customer\x00(?P<secret>\d+)").is_ok());
}

/// Bytes of any kind take time by their length, and no more.
#[test]
fn hostile_lines_end() {
    let secrets = Secrets::default();
    for piece in [&b"--password "[..], b"mysql -p", b"\xff\0-", b"://a:", b"curl -u :::"] {
        let line: Vec<u8> = piece.iter().copied().cycle().take(16 << 10).collect();
        let started = std::time::Instant::now();
        let _ = secrets.hide(&line);
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }
}
