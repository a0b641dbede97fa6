// Runs ValidatingAdmissionPolicies by the code of Kubernetes' own API server (k8s.io/apiserver, the admission plug-in
// ValidatingAdmissionPolicy), without an API server: policies and what they go by are read from files, requests from standard
// input, answers are written to standard output, both as JSON. Built by scripts/api-server.mjs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

// input is what is read: objects of the cluster and requests of users.
type input struct {
	// Files of YAML: policies, bindings, ConfigMaps.
	Files []string `json:"files"`
	// Namespaces and their annotations.
	Namespaces map[string]map[string]string `json:"namespaces"`
	Requests   []request                    `json:"requests"`
}

// request is one write by one user. With replicas it is about the scale of an object.
type request struct {
	User      string   `json:"user"`
	Groups    []string `json:"groups"`
	Namespace string   `json:"namespace"`
	Group     string   `json:"group"`
	Version   string   `json:"version"`
	Resource  string   `json:"resource"`
	Kind      string   `json:"kind"`
	Replicas  *int32   `json:"replicas"`
	Operation string   `json:"operation"`
	// Spec of the object; nothing is the same as an empty one.
	Spec map[string]any `json:"spec"`
}

type answer struct {
	Allowed bool   `json:"allowed"`
	Message string `json:"message"`
}

func main() {
	answers, err := run(os.Stdin)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "policy:", err)
		os.Exit(1)
	}
}

func run(reader io.Reader) ([]answer, error) {
	var in input
	if err := json.NewDecoder(reader).Decode(&in); err != nil {
		return nil, err
	}
	objects, policies, err := objectsOf(in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client := fake.NewClientset(objects...)
	factory := informers.NewSharedInformerFactory(client, 0)
	plugin, err := validating.NewPlugin(nil)
	if err != nil {
		return nil, err
	}
	plugin.SetExternalKubeClientSet(client)
	plugin.SetExternalKubeInformerFactory(factory)
	plugin.SetRESTMapper(testrestmapper.TestOnlyStaticRESTMapper(scheme.Scheme))
	plugin.SetDynamicClient(dynamicfake.NewSimpleDynamicClient(scheme.Scheme))
	plugin.SetDrainedNotification(ctx.Done())
	// No expression may ask what somebody else is allowed.
	plugin.SetAuthorizer(authorizer.AuthorizerFunc(
		func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return authorizer.DecisionNoOpinion, "", nil
		}))
	if err := plugin.ValidateInitialization(); err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	if err := settled(ctx, plugin, in.Requests); err != nil {
		return nil, err
	}
	if policies == 0 {
		return nil, errors.New("the files have no policy")
	}
	answers := make([]answer, 0, len(in.Requests))
	for _, each := range in.Requests {
		answers = append(answers, judge(ctx, plugin, each))
	}
	return answers, nil
}

// settled waits until the plug-in has compiled what it was given: the first request must be one that is refused.
func settled(ctx context.Context, plugin *validating.Plugin, requests []request) error {
	if len(requests) == 0 {
		return errors.New("there are no requests")
	}
	last := answer{}
	for attempt := 0; attempt < 300; attempt++ {
		if last = judge(ctx, plugin, requests[0]); !last.Allowed {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the first request, which shows that the policy is in force, was not refused")
}

func judge(ctx context.Context, plugin *validating.Plugin, each request) answer {
	kind := schema.GroupVersionKind{Group: each.Group, Version: each.Version, Kind: each.Kind}
	subresource := ""
	object, old := plainObject(kind, each), plainObject(kind, each)
	if each.Replicas != nil {
		subresource = "scale"
		kind = autoscalingv1.SchemeGroupVersion.WithKind("Scale")
		object, old = scaleOf(each.Namespace, *each.Replicas), scaleOf(each.Namespace, 1)
	}
	operation := admission.Operation(each.Operation)
	if operation == "" {
		operation = admission.Update
	}
	if operation == admission.Delete {
		object = nil
	}
	attributes := admission.NewAttributesRecord(object, old, kind, each.Namespace, "cart",
		schema.GroupVersionResource{Group: each.Group, Version: each.Version, Resource: each.Resource},
		subresource, operation, nil, false, &user.DefaultInfo{Name: each.User, Groups: each.Groups})
	err := plugin.Validate(ctx, attributes, admission.NewObjectInterfacesFromScheme(scheme.Scheme))
	if err != nil {
		return answer{Message: err.Error()}
	}
	return answer{Allowed: true}
}

func scaleOf(namespace string, replicas int32) runtime.Object {
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "cart", Namespace: namespace},
		Spec:       autoscalingv1.ScaleSpec{Replicas: replicas},
	}
}

func plainObject(kind schema.GroupVersionKind, each request) runtime.Object {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": each.Spec}}
	object.SetGroupVersionKind(kind)
	object.SetName("cart")
	object.SetNamespace(each.Namespace)
	return object
}

func objectsOf(in input) ([]runtime.Object, int, error) {
	var objects []runtime.Object
	policies := 0
	for name, annotations := range in.Namespaces {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}})
	}
	for _, file := range in.Files {
		opened, err := os.Open(file)
		if err != nil {
			return nil, 0, err
		}
		defer opened.Close()
		decoder := yaml.NewYAMLOrJSONDecoder(opened, 4096)
		for {
			raw := runtime.RawExtension{}
			if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, 0, fmt.Errorf("%s: %w", file, err)
			}
			object, kind, err := scheme.Codecs.UniversalDeserializer().Decode(raw.Raw, nil, nil)
			if err != nil {
				return nil, 0, fmt.Errorf("%s: %w", file, err)
			}
			if kind.GroupVersion() == admissionregistrationv1.SchemeGroupVersion && kind.Kind == "ValidatingAdmissionPolicy" {
				policies++
				defaulted(object.(*admissionregistrationv1.ValidatingAdmissionPolicy))
			}
			objects = append(objects, object)
		}
	}
	return objects, policies, nil
}

// defaulted does what the API server does when it takes a policy.
func defaulted(policy *admissionregistrationv1.ValidatingAdmissionPolicy) {
	constraints := policy.Spec.MatchConstraints
	equivalent, all := admissionregistrationv1.Equivalent, admissionregistrationv1.AllScopes
	if constraints.MatchPolicy == nil {
		constraints.MatchPolicy = &equivalent
	}
	if constraints.NamespaceSelector == nil {
		constraints.NamespaceSelector = &metav1.LabelSelector{}
	}
	if constraints.ObjectSelector == nil {
		constraints.ObjectSelector = &metav1.LabelSelector{}
	}
	for index := range constraints.ResourceRules {
		if constraints.ResourceRules[index].Scope == nil {
			constraints.ResourceRules[index].Scope = &all
		}
	}
}
