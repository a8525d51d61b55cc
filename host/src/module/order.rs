//! The order of modules: a pure function of their names and dependencies.

use std::collections::HashMap;

/// A module's name and dependencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The names of the modules that it depends on.
    pub depends_on: Vec<String>,
}

/// An error from ordering modules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Modules depend on each other.
    #[error("dependency cycle between modules: {}; remove one of these dependencies", path.join(" → "))]
    Cycle {
        /// The cycle; the first name is also the last.
        path: Vec<String>,
    },
    /// A dependency is not a module of the host.
    #[error(
        "module `{module}` depends on `{missing}`, which is not a module of this host; add it, or correct the name"
    )]
    Missing {
        /// The dependent module.
        module: String,
        /// The missing dependency.
        missing: String,
    },
    /// Two modules have the same name.
    #[error("two modules are named `{name}`; each needs a unique name")]
    Duplicate {
        /// The name.
        name: String,
    },
}

/// Returns the indices of `nodes` in an order in which each comes after its dependencies. Of several possible next nodes, the
/// one declared first is chosen, so that the same declarations always give the same order.
///
/// # Errors
/// Two nodes have the same name, a dependency does not exist, or there is a cycle.
pub fn order(nodes: &[Node]) -> Result<Vec<usize>, OrderError> {
    let depends_on = resolve(nodes)?;
    let mut placed = vec![false; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    while order.len() < nodes.len() {
        let free = |node: usize| !placed[node] && depends_on[node].iter().all(|&other| placed[other]);
        let Some(next) = (0..nodes.len()).find(|&node| free(node)) else {
            return Err(OrderError::Cycle {
                path: cycle(nodes, &depends_on, &placed),
            });
        };
        placed[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// Converts names to indices.
fn resolve(nodes: &[Node]) -> Result<Vec<Vec<usize>>, OrderError> {
    let mut by_name = HashMap::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        if by_name.insert(node.name.as_str(), index).is_some() {
            return Err(OrderError::Duplicate {
                name: node.name.clone(),
            });
        }
    }
    let find = |node: &Node, name: &String| {
        by_name.get(name.as_str()).copied().ok_or_else(|| OrderError::Missing {
            module: node.name.clone(),
            missing: name.clone(),
        })
    };
    nodes
        .iter()
        .map(|node| node.depends_on.iter().map(|name| find(node, name)).collect())
        .collect()
}

/// Finds a cycle among the nodes that could not be placed: each of them depends on another one, so following the first such
/// dependency leads back to a node already visited.
fn cycle(nodes: &[Node], depends_on: &[Vec<usize>], placed: &[bool]) -> Vec<String> {
    let waits_for = |node: usize| depends_on[node].iter().copied().find(|&other| !placed[other]);
    let mut way = Vec::new();
    let mut at = (0..nodes.len()).find(|&node| !placed[node]);
    while let Some(node) = at {
        if let Some(start) = way.iter().position(|&been| been == node) {
            way.drain(..start);
            way.push(node);
            break;
        }
        way.push(node);
        at = waits_for(node);
    }
    way.into_iter().map(|node| nodes[node].name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(name: &str, depends_on: &[&str]) -> Node {
        Node {
            name: name.to_owned(),
            depends_on: depends_on.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn a_cycle_is_reported_without_modules_that_only_depend_on_it() {
        let nodes = [
            node("x", &["a"]),
            node("a", &["b"]),
            node("b", &["y", "a"]),
            node("y", &[]),
        ];
        let error = order(&nodes).unwrap_err();
        assert!(error.to_string().contains("modules: a → b → a;"), "{error}");
        let error = order(&[node("a", &["a"])]).unwrap_err();
        assert!(error.to_string().contains("modules: a → a;"), "{error}");
    }

    #[test]
    fn missing_dependencies_and_duplicate_names_are_reported() {
        let error = order(&[node("a", &["b"])]).unwrap_err();
        let missing = OrderError::Missing {
            module: "a".into(),
            missing: "b".into(),
        };
        assert_eq!(error, missing);
        let error = order(&[node("a", &[]), node("a", &[])]).unwrap_err();
        assert_eq!(error, OrderError::Duplicate { name: "a".into() });
    }

    /// Any graph, cycles included: an edge for each pair of nodes, or none.
    fn graphs() -> impl Strategy<Value = Vec<Node>> {
        (1_usize..8).prop_flat_map(|count| {
            let edges = proptest::collection::vec(proptest::bool::weighted(0.15), count * count);
            edges.prop_map(move |edges| {
                let of = |edges: &[bool]| (0..count).filter(|&to| edges[to]).map(|to| to.to_string()).collect();
                let nodes = edges.chunks(count).enumerate().map(|(from, edges)| Node {
                    name: from.to_string(),
                    depends_on: of(edges),
                });
                nodes.collect::<Vec<_>>()
            })
        })
    }

    proptest! {
        #[test]
        fn the_order_is_topological_or_a_real_cycle_is_reported(nodes in graphs()) {
            let index = |name: &String| nodes.iter().position(|node| node.name == *name).unwrap();
            match order(&nodes) {
                Ok(order) => {
                    let mut sorted = order.clone();
                    sorted.sort_unstable();
                    prop_assert_eq!(sorted, (0..nodes.len()).collect::<Vec<_>>());
                    let place = |node: usize| order.iter().position(|&at| at == node).unwrap();
                    for (at, node) in nodes.iter().enumerate() {
                        prop_assert!(node.depends_on.iter().all(|on| place(index(on)) < place(at)));
                    }
                    // Stable: a node declared later comes first only if the other one had to wait for a dependency.
                    for pair in order.windows(2) {
                        let waited = nodes[pair[1]].depends_on.contains(&nodes[pair[0]].name);
                        prop_assert!(pair[0] < pair[1] || waited);
                    }
                }
                Err(OrderError::Cycle { path }) => {
                    prop_assert!(path.len() > 1 && path.first() == path.last());
                    for pair in path.windows(2) {
                        prop_assert!(nodes[index(&pair[0])].depends_on.contains(&pair[1]));
                    }
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
