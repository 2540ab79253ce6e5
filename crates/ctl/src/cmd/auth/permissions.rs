//! Permissions as text: `read,write:keys:users:eu/`. Neither truth nor derived: a notation.

use anyhow::{Context, Result, bail};
use cairndb::auth::{Action, Actions, AdminArea, KeyRange, NamePattern, Permission, Scope};

const AREAS: [(&str, AdminArea); 7] = [
    ("users", AdminArea::Users),
    ("roles", AdminArea::Roles),
    ("api-keys", AdminArea::ApiKeys),
    ("keys", AdminArea::Keys),
    ("backup", AdminArea::Backup),
    ("maintenance", AdminArea::Maintenance),
    ("status", AdminArea::Status),
];

/// Reads permissions.
pub fn parse_all(texts: &[String]) -> Result<Vec<Permission>> {
    let mut permissions = Vec::new();
    for text in texts {
        if text == "everything" {
            permissions.extend(Permission::everything());
        } else {
            permissions.push(parse(text)?);
        }
    }
    Ok(permissions)
}

fn parse(text: &str) -> Result<Permission> {
    let Some((actions, scope)) = text.split_once(':') else {
        bail!("{text}: a permission is ACTIONS:SCOPE, such as read:topic:orders");
    };
    let mut allowed = Actions::NONE;
    for action in actions.split(',') {
        allowed = allowed
            | match action {
                "read" => Actions::READ,
                "write" => Actions::WRITE,
                "manage" => Actions::MANAGE,
                "all" => Actions::ALL,
                _ => bail!("{action}: an action is read, write, manage or all"),
            };
    }
    let scope = parse_scope(scope).with_context(|| {
        format!("{text}: scopes are keys:KEYSPACE:PREFIX, keyspace:NAME, topic:NAME and admin:AREA")
    })?;
    Ok(Permission::new(allowed, scope))
}

fn parse_scope(text: &str) -> Result<Scope> {
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    Ok(match kind {
        "topic" => Scope::Topic(pattern(rest)?),
        "keyspace" => Scope::Keyspace(pattern(rest)?),
        "keys" => {
            let (name, prefix) = rest.split_once(':').unwrap_or((rest, ""));
            if prefix.len() > cairndb::types::limits::MAX_KEY_LEN {
                bail!("the prefix is longer than any key");
            }
            Scope::Keys(pattern(name)?, KeyRange::prefix(prefix.as_bytes()))
        }
        "admin" if rest.is_empty() => Scope::Admin(None),
        "admin" => match AREAS.iter().find(|(name, _)| *name == rest) {
            Some((_, area)) => Scope::Admin(Some(*area)),
            None => bail!("{rest}: areas are {}", AREAS.map(|(name, _)| name).join(", ")),
        },
        _ => bail!("{kind}: a scope is keys:, keyspace:, topic: or admin"),
    })
}

fn pattern(text: &str) -> Result<NamePattern> {
    Ok(match text.strip_suffix('*') {
        Some("") => NamePattern::Any,
        Some(prefix) => NamePattern::prefix(prefix)?,
        None => NamePattern::exact(text)?,
    })
}

/// A permission as text.
pub fn show(permission: &Permission) -> String {
    let names = [(Action::Read, "read"), (Action::Write, "write"), (Action::Manage, "manage")];
    let actions: Vec<&str> = names
        .into_iter()
        .filter(|(action, _)| permission.actions.contains(*action))
        .map(|(_, name)| name)
        .collect();
    format!("{}:{}", actions.join(","), show_scope(&permission.scope))
}

fn show_scope(scope: &Scope) -> String {
    match scope {
        Scope::Topic(names) => format!("topic:{}", show_pattern(names)),
        Scope::Keyspace(names) => format!("keyspace:{}", show_pattern(names)),
        Scope::Keys(names, range) => {
            let start = range.start();
            let shown = start.escape_ascii();
            if start.len() <= cairndb::types::limits::MAX_KEY_LEN
                && *range == KeyRange::prefix(start)
            {
                return format!("keys:{}:{shown}", show_pattern(names));
            }
            let end = range.end().map(|end| end.escape_ascii().to_string()).unwrap_or_default();
            format!("keys:{}:{shown}..{end}", show_pattern(names))
        }
        Scope::Admin(None) => "admin".into(),
        Scope::Admin(Some(area)) => {
            let name = AREAS.iter().find(|(_, known)| known == area);
            format!("admin:{}", name.map_or("?", |(name, _)| name))
        }
    }
}

fn show_pattern(names: &NamePattern) -> String {
    match names {
        NamePattern::Any => "*".into(),
        NamePattern::Exact(name) => name.to_string(),
        NamePattern::Prefix(prefix) => format!("{prefix}*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_as_they_are_shown() {
        for text in [
            "read,write:keys:users:eu/",
            "read:keys:*:",
            "manage:keyspace:users",
            "read:topic:orders.*",
            "read,write,manage:admin",
            "manage:admin:api-keys",
        ] {
            assert_eq!(show(&parse(text).expect(text)), text);
        }
        for bad in ["", "read", "fly:topic:t", "read:planet:x", "read:topic:", "read:admin:nobody"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
